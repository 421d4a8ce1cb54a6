//! A request with the authorization that the registry wants: sent, its challenge
//! answered, sent once more.

use std::time::{Duration, Instant};

use ureq::http::header;

use super::auth::Auth;
use super::challenge;
use super::transport::{Call, Reply, Transport};
use super::url::{Origin, ShownUrl};
use crate::Error;

/// How often one request's challenges are answered at most.
const MAX_ANSWERS: u32 = 5;
/// A token that was asked for so long ago may have expired, while the request waited
/// for its turn at the host.
const MAY_EXPIRE: Duration = Duration::from_secs(30);

/// Makes a request with `auth`, and answers a challenge. Where the answer is refused,
/// too, that is the end, unless the same token was good before: then it expired, or
/// others used it up, before this request's turn came. The call's own authorization is
/// not looked at.
///
/// # Errors
/// [`Error::Denied`] on 401 and 403; other answers are the caller's.
pub(super) fn send(transport: &Transport, auth: &Auth, call: Call<'_>) -> Result<Reply, Error> {
    let mut used = auth.header();
    let mut answered: Option<Instant> = None;
    let mut answers = 0;
    loop {
        let reply = transport.send(Call {
            authorization: used.as_deref(),
            ..call
        })?;
        // Whoever a redirect leads to is not the registry, and gets no answer to a
        // challenge.
        let own = Origin::of(&reply.url) == Origin::of(call.url);
        if reply.status.as_u16() != 401 || !own {
            if own {
                auth.was_taken(used.as_ref());
            }
            return allowed(auth, reply);
        }
        let challenges = reply.headers.get_all(header::WWW_AUTHENTICATE);
        let texts = challenges.iter().filter_map(|value| value.to_str().ok());
        let challenge = challenge::parse(texts);
        // Read to its end before anything else is asked: see `limiter`.
        let (shown, said) = (ShownUrl::of(&reply.url), reply.into_answer());
        let was_good = answered.is_none_or(|answered| {
            // Who has asked for a newer one since found this one refused, too.
            answered.elapsed() >= MAY_EXPIRE
                || auth.has_taken(used.as_ref())
                || auth.header() != used
        });
        let header = match &challenge {
            Some(challenge) if was_good && answers < MAX_ANSWERS => {
                auth.answer(transport, call.url, challenge, used.as_ref())?
            }
            _ => None,
        };
        if header.is_none() {
            return Err(auth.refused(shown, said));
        }
        answered = Some(Instant::now());
        answers += 1;
        used = header;
    }
}

fn allowed(auth: &Auth, reply: Reply) -> Result<Reply, Error> {
    match reply.status.as_u16() {
        401 | 403 => Err(auth.denied(reply)),
        _ => Ok(reply),
    }
}
