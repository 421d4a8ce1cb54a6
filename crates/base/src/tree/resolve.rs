//! Where paths lead.

use super::{Error, InodeId, Kind, MAX_SYMLINKS, ROOT, Tree, components, display};
use crate::limit;

impl Tree {
    /// Follows all symbolic links in `path`, absolute targets and `..` staying
    /// inside the root, and gives the real path. What does not exist is kept as
    /// written, so the result may name something that is not there yet.
    ///
    /// # Errors
    /// [`Error::SymlinkLoop`] after [`MAX_SYMLINKS`] links, [`Error::TooManySteps`].
    pub fn resolve(&self, path: &[u8]) -> Result<Vec<u8>, Error> {
        self.resolve_counted(path).map(|(real, _)| real)
    }

    /// As [`resolve`](Self::resolve), and how many components were looked at.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_counted(&self, path: &[u8]) -> Result<(Vec<u8>, u64), Error> {
        // Parts of the path and of links' targets, the next one last. Targets are looked
        // at as they stand in the tree: a chain of long ones is never put together.
        let mut pending = vec![components(path)];
        let mut real: Vec<u8> = Vec::new();
        // What is at each directory on the way to `real`, and the length of its path.
        let mut way: Vec<(Option<InodeId>, usize)> = vec![(Some(ROOT), 0)];
        let (mut followed, mut steps) = (0, 0);
        while let Some(part) = pending.last_mut() {
            let Some(name) = part.next() else {
                pending.pop();
                continue;
            };
            steps += 1;
            if steps > limit::RESOLVE_STEPS {
                return Err(Error::TooManySteps {
                    path: display(path),
                });
            }
            match name {
                b"." => continue,
                b".." => {
                    if way.len() > 1 {
                        way.pop();
                    }
                    real.truncate(way.last().map_or(0, |(_, length)| *length));
                    continue;
                }
                _ => {}
            }
            let at = way.last().and_then(|(id, _)| *id);
            let found = at.and_then(|at| self.children(at)?.get(name).copied());
            if let Some(Kind::Symlink(target)) = found.map(|id| &self.inode(id).kind) {
                followed += 1;
                if followed > MAX_SYMLINKS {
                    return Err(Error::SymlinkLoop {
                        path: display(path),
                    });
                }
                if target.first() == Some(&b'/') {
                    real.clear();
                    way.truncate(1);
                }
                pending.push(components(target));
                continue;
            }
            if !real.is_empty() {
                real.push(b'/');
            }
            real.extend_from_slice(name);
            way.push((found, real.len()));
        }
        Ok((real, steps as u64))
    }
}
