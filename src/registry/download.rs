//! Single files by URL, for what is not published as an image.

use std::io::Read;

use super::error::Error;
use super::transport::Call;
use super::{Client, ShownUrl};

impl Client {
    /// A stream of the file at `url`, without credentials: one attempt. Where
    /// the server announces its size, the stream has exactly that many bytes or
    /// ends in an error; an error while reading carries an [`Error`], see
    /// [`Error::from_read`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn download(&self, url: &str) -> Result<Box<dyn Read + Send>, Error> {
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err(Error::Setting {
                setting: ShownUrl::of(url).to_string(),
                wanted: "a URL of the form https://… or http://…",
            });
        }
        if self.offline {
            return Err(Error::Offline {
                what: ShownUrl::of(url).to_string(),
            });
        }
        let reply = self.transport.send(Call {
            url,
            accept: "*/*",
            authorization: None,
            form: None,
        })?;
        if !reply.status.is_success() {
            return Err(reply.into_error());
        }
        Ok(Box::new(reply.into_stream(None)))
    }
}
