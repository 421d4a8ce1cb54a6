//! What the fake registry does with what it is sent: uploads of blobs, mounts
//! and manifests.
//!
//! An upload's place carries its state in the query, as real registries have it,
//! and only the latest is good. A manifest is taken only when all that it names
//! is there.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use isoforge_base::digest::Digest;

use super::layers::Blob;
use super::registry::{FakeRegistry, Request, Response, State};

/// How the registry is to be pushed to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    /// `OCI-Chunk-Min-Length`.
    pub(crate) minimum: Option<usize>,
    /// Answers a mount with an upload.
    pub(crate) no_mounts: bool,
    /// Uploads go on at this URL.
    pub(crate) elsewhere: Option<String>,
    /// Takes uploads that began elsewhere, and manifests of unknown blobs.
    pub(crate) credulous: bool,
    /// Says another digest than it stored.
    pub(crate) wrong_digest: bool,
}

#[derive(Default)]
pub(super) struct Uploads {
    manner: Manner,
    sessions: BTreeMap<String, Vec<u8>>,
    begun: usize,
}

impl FakeRegistry {
    pub(crate) fn manner(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.state.lock().unwrap().uploads.manner);
    }

    /// A blob that it has.
    pub(crate) fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        let path = format!("/v2/{repository}/blobs/{digest}");
        self.state.lock().unwrap().blobs.get(&path).cloned()
    }

    /// A manifest that it has, by tag or digest.
    pub(crate) fn manifest(&self, repository: &str, name: &str) -> Option<Vec<u8>> {
        let path = format!("/v2/{repository}/manifests/{name}");
        let state = self.state.lock().unwrap();
        state.manifests.get(&path).map(|blob| blob.bytes.clone())
    }

    /// Methods and targets of the requests, without queries and what names an
    /// upload.
    pub(crate) fn log(&self) -> Vec<String> {
        let line = |request: &Request| {
            let path = request.target.split('?').next().unwrap();
            let path = match path.split_once("/uploads/") {
                Some((before, _)) => format!("{before}/uploads/"),
                None => path.to_owned(),
            };
            format!("{} {path}", request.method)
        };
        self.requests().iter().map(line).collect()
    }
}

fn parts(request: &Request) -> (&str, BTreeMap<String, String>) {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let decode = |text: &str| text.replace("%3A", ":").replace("%2F", "/");
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decode(value)))
        .collect();
    (path, query)
}

/// Keeps what came of an upload before its connection broke.
pub(super) fn keep(state: &mut State, request: &Request, bytes: &[u8]) {
    let (path, _) = parts(request);
    let id = path.rsplit('/').next().unwrap();
    let session = state.uploads.sessions.get_mut(id);
    session.expect("an upload").extend(bytes);
}

/// The answer to a request that writes or concerns an upload.
pub(super) fn answer(
    state: &mut State,
    request: &Request,
    address: SocketAddr,
) -> Option<Response> {
    let (path, query) = parts(request);
    let rest = path.strip_prefix("/v2/")?;
    if let Some((repository, id)) = rest.split_once("/blobs/uploads/") {
        return Some(match request.method.as_str() {
            "POST" => post(state, repository, &query, address),
            "GET" => status(state, repository, id, 204),
            method => take(state, request, (repository, id), &query, method == "PUT"),
        });
    }
    if request.method == "PUT" {
        return Some(put_manifest(state, path, request));
    }
    None
}

fn post(
    state: &mut State,
    repository: &str,
    query: &BTreeMap<String, String>,
    address: SocketAddr,
) -> Response {
    if let (Some(digest), Some(from), false) = (
        query.get("mount"),
        query.get("from"),
        state.uploads.manner.no_mounts,
    ) && let Some(blob) = state.blobs.get(&format!("/v2/{from}/blobs/{digest}"))
    {
        let (path, blob) = (format!("/v2/{repository}/blobs/{digest}"), blob.clone());
        state.blobs.insert(path.clone(), blob);
        return Response::new(201, &[format!("Location: {path}")], b"");
    }
    state.uploads.begun += 1;
    let id = format!("upload-{}", state.uploads.begun);
    state.uploads.sessions.insert(id.clone(), Vec::new());
    let base = match &state.uploads.manner.elsewhere {
        Some(url) => url.clone(),
        // Both forms of a Location are in the specification.
        None if state.uploads.begun.is_multiple_of(2) => format!("http://{address}"),
        None => String::new(),
    };
    let mut headers = vec![format!(
        "Location: {base}/v2/{repository}/blobs/uploads/{id}?_state=0"
    )];
    if let Some(minimum) = state.uploads.manner.minimum {
        headers.push(format!("OCI-Chunk-Min-Length: {minimum}"));
    }
    Response::new(202, &headers, b"")
}

/// Where an upload stands.
fn status(state: &State, repository: &str, id: &str, status: u16) -> Response {
    let Some(session) = state.uploads.sessions.get(id) else {
        return Response::error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    let length = session.len();
    let headers = [
        format!("Location: /v2/{repository}/blobs/uploads/{id}?_state={length}"),
        format!("Range: 0-{}", length.saturating_sub(1)),
    ];
    Response::new(status, &headers, b"")
}

/// Takes bytes of an upload.
fn take(
    state: &mut State,
    request: &Request,
    (repository, id): (&str, &str),
    query: &BTreeMap<String, String>,
    commit: bool,
) -> Response {
    if state.uploads.manner.credulous {
        let sessions = &mut state.uploads.sessions;
        sessions.entry(id.to_owned()).or_default();
    }
    let Some(session) = state.uploads.sessions.get_mut(id) else {
        return Response::error(404, "BLOB_UPLOAD_UNKNOWN");
    };
    if query.get("_state") != Some(&session.len().to_string()) {
        return Response::error(400, "BLOB_UPLOAD_INVALID");
    }
    if let Some(range) = request.headers.get("content-range") {
        let wanted = format!(
            "{}-{}",
            session.len(),
            session.len() + request.bytes.len() - 1
        );
        if *range != wanted {
            return Response::error(416, "RANGE_INVALID");
        }
    } else if !session.is_empty() && !request.bytes.is_empty() {
        return Response::error(416, "RANGE_INVALID");
    }
    session.extend(&request.bytes);
    if !commit {
        return status(state, repository, id, 202);
    }
    let bytes = state.uploads.sessions.remove(id).unwrap();
    let digest = Digest::of(&bytes).to_string();
    if query.get("digest") != Some(&digest) {
        return Response::error(400, "DIGEST_INVALID");
    }
    let path = format!("/v2/{repository}/blobs/{digest}");
    state.blobs.insert(path.clone(), bytes);
    Response::new(201, &[format!("Location: {path}")], b"")
}

fn put_manifest(state: &mut State, path: &str, request: &Request) -> Response {
    let (repository, _) = path.split_once("/manifests/").unwrap();
    let document: serde_json::Value = serde_json::from_slice(&request.bytes).unwrap();
    let named = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let blobs = named("layers")
        .into_iter()
        .chain(document.get("config").cloned());
    let missing = blobs
        .map(|blob| ("blobs", blob))
        .chain(named("manifests").into_iter().map(|m| ("manifests", m)))
        .any(|(kind, one)| {
            let place = format!("{repository}/{kind}/{}", one["digest"].as_str().unwrap());
            !state.blobs.contains_key(&place) && !state.manifests.contains_key(&place)
        });
    if missing && !state.uploads.manner.credulous {
        return Response::error(400, "MANIFEST_BLOB_UNKNOWN");
    }
    let manifest = Blob::new(&request.headers["content-type"], request.bytes.clone());
    let mut digest = manifest.digest();
    let by_digest = format!("{repository}/manifests/{digest}");
    for place in [path.to_owned(), by_digest] {
        state.manifests.insert(place, manifest.clone());
    }
    if state.uploads.manner.wrong_digest {
        digest = Digest::of(b"something else");
    }
    Response::new(201, &[format!("Docker-Content-Digest: {digest}")], b"")
}
