//! A request with the authorization that the registry wants: sent, its challenge
//! answered, sent once more.

use ureq::http::header;

use super::auth::Auth;
use super::challenge;
use super::error::Error;
use super::transport::{Call, Reply, Transport};
use super::url::{Origin, ShownUrl};

/// Makes a request with `auth`, and answers a challenge once. The call's own
/// authorization is not looked at.
///
/// # Errors
/// [`Error::Denied`] on 401 and 403; other answers are the caller's.
pub(super) fn send(transport: &Transport, auth: &Auth, call: Call<'_>) -> Result<Reply, Error> {
    let used = auth.header();
    let reply = transport.send(Call {
        authorization: used.as_deref(),
        ..call
    })?;
    // Whoever a redirect leads to is not the registry, and gets no answer to a
    // challenge.
    let own = Origin::of(&reply.url) == Origin::of(call.url);
    if reply.status.as_u16() != 401 || !own {
        return allowed(auth, reply);
    }
    let challenges = reply.headers.get_all(header::WWW_AUTHENTICATE);
    let texts = challenges.iter().filter_map(|value| value.to_str().ok());
    let challenge = challenge::parse(texts);
    // Read to its end before anything else is asked: see `limiter`.
    let (shown, said) = (ShownUrl::of(&reply.url), reply.into_answer());
    let header = match &challenge {
        Some(challenge) => auth.answer(transport, call.url, challenge, used.as_ref())?,
        None => None,
    };
    match header {
        Some(header) => {
            let authorization = Some(&*header);
            allowed(
                auth,
                transport.send(Call {
                    authorization,
                    ..call
                })?,
            )
        }
        None => Err(auth.refused(shown, said)),
    }
}

fn allowed(auth: &Auth, reply: Reply) -> Result<Reply, Error> {
    match reply.status.as_u16() {
        401 | 403 => Err(auth.denied(reply)),
        _ => Ok(reply),
    }
}
