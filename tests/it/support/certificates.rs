//! An authority and its certificates, made by openssl for one test.

use std::path::{Path, PathBuf};

use super::judge;

/// Days until the certificates end.
const DAYS: &str = "2";

/// The files, all PEM.
pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// An authority that vouches for `localhost` and `127.0.0.1` as a server and
    /// for one client.
    pub(crate) fn make(folder: &Path) -> Self {
        let this = Self {
            folder: folder.join("certificates"),
        };
        std::fs::create_dir(&this.folder).unwrap();
        let (key, certificate) = (this.text("ca.key"), this.text("ca.crt"));
        let mut authority = vec![
            "req",
            "-x509",
            "-days",
            DAYS,
            "-subj",
            "/CN=The test's authority",
        ];
        authority.extend(KEY);
        authority.extend(["-keyout", &key, "-out", &certificate]);
        judge("openssl", "openssl", &authority);
        this.issue(
            "server",
            "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n",
        );
        this.issue("client", "extendedKeyUsage=clientAuth\n");
        this
    }

    fn issue(&self, name: &str, extensions: &str) {
        let file = |end: &str| self.text(&format!("{name}.{end}"));
        std::fs::write(
            file("ext"),
            format!("basicConstraints=CA:FALSE\n{extensions}"),
        )
        .unwrap();
        let subject = format!("/CN={name}");
        let (key, request) = (file("key"), file("csr"));
        let mut ask = vec!["req", "-new", "-subj", &subject];
        ask.extend(KEY);
        ask.extend(["-keyout", &key, "-out", &request]);
        judge("openssl", "openssl", &ask);
        judge(
            "openssl",
            "openssl",
            &[
                "x509",
                "-req",
                "-days",
                DAYS,
                "-in",
                &request,
                "-CA",
                &self.text("ca.crt"),
                "-CAkey",
                &self.text("ca.key"),
                "-CAcreateserial",
                "-extfile",
                &file("ext"),
                // skopeo wants this name.
                "-out",
                &file("cert"),
            ],
        );
    }

    /// One of `ca.crt`, `server.cert`, `server.key`, `client.cert`, `client.key`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A folder in the form that skopeo takes for a registry.
    pub(crate) fn for_skopeo(&self) -> String {
        let folder = self.folder.join("for-skopeo");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["ca.crt", "client.cert", "client.key"] {
            std::fs::copy(self.path(name), folder.join(name)).unwrap();
        }
        folder.display().to_string()
    }
}

const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];
