use super::*;
use isoforge_base::error::Diagnose;

const A: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const B: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn image_with(config: &str, layer: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{config}","digest":"{A}","size":2}},
            "layers":[{{"mediaType":"{layer}","digest":"{B}","size":3}}]}}"#
    )
}

fn image(layer: &str) -> String {
    image_with("application/vnd.oci.image.config.v1+json", layer)
}

fn parse(text: &str) -> Result<Manifest, Error> {
    Manifest::parse(text.as_bytes().to_vec(), None)
}

fn compressions(text: &str) -> Result<Vec<LayerCompression>, Error> {
    match parse(text)?.document {
        Document::Image(image) => image.layer_compressions(),
        Document::Index(_) => panic!("an index"),
    }
}

fn entry(digest: &str, platform: &str, more: &str) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"platform":{platform}{more}}}"#
    )
}

fn index(entries: &[String]) -> Vec<Descriptor> {
    let text = format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        entries.join(",")
    );
    match parse(&text).unwrap().document {
        Document::Index(entries) => entries,
        Document::Image(_) => panic!("an image"),
    }
}

#[test]
fn a_manifest_is_known_by_its_bytes() {
    let text = image("application/vnd.oci.image.layer.v1.tar+zstd");
    let manifest = parse(&text).unwrap();
    assert_eq!(manifest.digest, Digest::of(text.as_bytes()));
    assert_eq!(manifest.raw, text.as_bytes());
    assert_eq!(manifest.media_type, MediaType::Manifest(Family::Oci));
    assert_eq!(compressions(&text).unwrap(), [LayerCompression::Zstd]);
    let text = image("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    assert_eq!(compressions(&text).unwrap(), [LayerCompression::Gzip]);
}

#[test]
fn documents_that_cannot_be_used_say_why() {
    let docker = |media_type: &str| format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}"}}"#);
    let oci_layer = "application/vnd.oci.image.layer.v1.tar";
    let said = [
        r#"{"schemaVersion":1,"name":"a","fsLayers":[]}"#.to_owned(),
        docker("application/vnd.docker.distribution.manifest.v1+prettyjws"),
        docker("application/vnd.example.v1+json"),
        "{}".to_owned(),
        "[".to_owned(),
        r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#.to_owned(),
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#
            .to_owned(),
        image("application/vnd.docker.image.rootfs.foreign.diff.unknown"),
        image("application/vnd.example.layer"),
        image_with("application/vnd.cncf.helm.config.v1+json", oci_layer),
        image(oci_layer).replace(B, &format!("sha512:{}", "0".repeat(128))),
        image(oci_layer).replace("\"size\":3", "\"size\":-3"),
    ]
    .map(|text| {
        let error = compressions(&text).unwrap_err();
        format!("{}: {error}", error.class().exit_code())
    })
    .join("\n");
    insta::assert_snapshot!(said, @r"
    2: the image has a manifest of Docker's schema 1, which cannot be verified
    2: the image has a manifest of Docker's schema 1, which cannot be verified
    2: 'application/vnd.example.v1+json' is not a manifest or index that isoforge knows
    2: 'no media type' is not a manifest or index that isoforge knows
    5: the manifest is malformed: EOF while parsing a list at line 1 column 1
    5: the manifest has both 'manifests' and 'layers', so tools could disagree on what it is
    5: the manifest is malformed: missing field `config` at line 1 column 76
    2: layer sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a has the unknown media type 'application/vnd.docker.image.rootfs.foreign.diff.unknown'
    2: layer sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a has the unknown media type 'application/vnd.example.layer'
    2: this is an artifact of the type 'application/vnd.cncf.helm.config.v1+json', not an image
    2: 'sha512:00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000' is not a sha256 digest, the only kind supported
    5: the manifest is malformed: invalid value: integer `-3`, expected u64 at line 2 column 168
    ");
}

#[test]
fn announced_and_own_media_type_must_agree() {
    let text = image("application/vnd.oci.image.layer.v1.tar").replacen(
        '{',
        r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
        1,
    );
    let parse_as = |announced: &str| {
        Manifest::parse(
            text.clone().into_bytes(),
            Some(&MediaType::parse(announced)),
        )
    };
    parse_as("application/vnd.oci.image.manifest.v1+json").unwrap();
    parse_as("text/plain").unwrap();
    let error = parse_as("application/vnd.oci.image.index.v1+json").unwrap_err();
    assert!(error.to_string().contains("was announced as"), "{error}");
}

#[test]
fn oversized_manifests_are_refused() {
    let size = usize::try_from(MAX_MANIFEST_BYTES).unwrap() + 1;
    let error = Manifest::parse(vec![b' '; size], None).unwrap_err();
    assert!(error.to_string().contains("are accepted"), "{error}");
}

#[test]
fn the_index_entry_for_the_platform_is_chosen_and_attestations_are_not() {
    let attestation = r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
    let entries = index(&[
        entry(A, r#"{"os":"linux","architecture":"amd64"}"#, attestation),
        entry(A, r#"{"os":"unknown","architecture":"unknown"}"#, ""),
        entry(
            A,
            r#"{"os":"linux","architecture":"amd64","variant":"v3"}"#,
            "",
        ),
        entry(
            B,
            r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#,
            "",
        ),
        entry(B, r#"{"os":"linux","architecture":"amd64"}"#, ""),
    ]);
    let chosen = |platform: &str| {
        choose(&entries, &platform.parse().unwrap())
            .and_then(|entry| entry.platform.as_ref())
            .map(ToString::to_string)
    };
    assert_eq!(chosen("amd64").as_deref(), Some("linux/amd64"));
    assert_eq!(chosen("arm64").as_deref(), Some("linux/arm64"));
    assert_eq!(chosen("linux/amd64/v3").as_deref(), Some("linux/amd64/v3"));
    assert_eq!(chosen("s390x"), None);
    let error = missing_platform(&"s390x".parse().unwrap(), &platforms(&entries));
    insta::assert_snapshot!(error, @"there is no image for linux/s390x; there are: linux/amd64/v3, linux/arm64, linux/amd64");
}

#[test]
fn configurations_of_docker_and_oci_are_read() {
    let text = format!(
        r#"{{"architecture":"arm64","variant":"v8","os":"linux","created":"2024-05-01T10:00:00.5+02:00",
            "container_config":{{"Cmd":null}},"rootfs":{{"type":"layers","diff_ids":["{A}"]}}}}"#
    );
    let config = ImageConfig::parse(text.as_bytes()).unwrap();
    assert_eq!(config.platform, Some(Platform::linux("arm64")));
    assert_eq!(config.created, Some(1_714_550_400));
    assert_eq!(config.diff_ids, [A.parse().unwrap()]);
    let bare =
        br#"{"created":"0001-01-01T00:00:00Z","architecture":"","rootfs":{"diff_ids":null}}"#;
    let config = ImageConfig::parse(bare).unwrap();
    assert_eq!(
        (config.created, config.platform, config.diff_ids.len()),
        (None, None, 0)
    );
    for text in ["{}", r#"{"created":"yesterday","rootfs":{}}"#] {
        assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
    }
}
