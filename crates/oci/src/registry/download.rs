//! Single files by URL, for what is not published as an image.

use super::transport::Call;
use super::{BlobRest, Client, ShownUrl};
use crate::Error;

impl Client {
    /// The file at `url` from the byte `offset` on, without credentials: one
    /// attempt. Where the server announces its size, the stream has exactly that
    /// many bytes or ends in an error; an error while reading carries an
    /// [`Error`], see [`Error::from_read`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn download(&self, url: &str, offset: u64) -> Result<BlobRest<'static>, Error> {
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            let wanted = "a URL of the form https://… or http://…";
            return Err(Error::setting(ShownUrl::of(url), wanted));
        }
        if self.offline {
            return Err(Error::Offline {
                what: ShownUrl::of(url).to_string(),
            });
        }
        let reply = self.transport.send(Call {
            url,
            offset,
            ..Call::default()
        })?;
        let coding = match reply.status.is_success() {
            true => reply.coding()?,
            false => None,
        };
        let coding =
            coding.filter(|coding| !(coding.is_of_name(url) || coding.is_of_name(&reply.url)));
        match coding {
            // A part of something else than what was begun.
            Some(_) if offset > 0 && reply.status.as_u16() == 206 => return self.download(url, 0),
            Some(coding) => return reply.into_undone(coding, None),
            None => {}
        }
        match reply.status.as_u16() {
            200 | 206 if offset > 0 => {
                if let Some(part) = reply.into_part(offset, None) {
                    return Ok(part);
                }
            }
            416 if offset > 0 => {}
            status if (200..300).contains(&status) => {
                return Ok(BlobRest {
                    start: 0,
                    reader: Box::new(reply.into_stream(None)),
                });
            }
            _ => return Err(reply.into_error()),
        }
        self.download(url, 0)
    }
}
