//! The inode table and the directory table.

use super::attributes::Attributes;
use super::data::DataPlan;
use super::metadata::{MetadataWriter, Position};
use super::order::{Order, ROOT, index};
use crate::Error;
use crate::squashfs::layout::{
    BasicDirectory, BasicFile, DIRECTORY_RUN_MAX, DIRECTORY_SIZE_BIAS, DeviceNode, DirectoryEntry,
    DirectoryHeader, DirectoryIndex, ExtendedDirectory, ExtendedFile, InodeHeader, Ipc,
    METADATA_BYTES, NAME_BYTES_MAX, NO_XATTRS, SYMLINK_BYTES_MAX, Symlink, TYPE_BLOCK_DEVICE,
    TYPE_CHAR_DEVICE, TYPE_DIRECTORY, TYPE_EXTENDED, TYPE_FIFO, TYPE_FILE, TYPE_SOCKET,
    TYPE_SYMLINK, encode_device, inode_ref, split_ref,
};
use crate::squashfs::settings::Settings;
use isoforge_base::tree::{Device, Kind, MODE_MASK};

/// Both tables in metadata blocks, and where the inodes are in them.
#[derive(Debug)]
pub(super) struct InodeTables {
    pub(super) inodes: Vec<u8>,
    pub(super) directories: Vec<u8>,
    /// Reference to each inode, by number.
    pub(super) refs: Vec<u64>,
    /// Reference to the root.
    pub(super) root: u64,
    /// How many times did not fit.
    pub(super) clamped_times: u64,
}

impl InodeTables {
    pub(super) fn new(
        order: &Order<'_>,
        data: &DataPlan<'_>,
        attributes: &mut Attributes,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let mut builder = Builder {
            order,
            data,
            attributes,
            block_size: settings.block_size,
            inodes: MetadataWriter::new(settings.compressor)?,
            directories: MetadataWriter::new(settings.compressor)?,
            refs: vec![None; order.count() as usize],
            clamped_times: 0,
        };
        builder.write_all()?;
        let refs: Vec<u64> = builder.refs.iter().map(|at| at.unwrap_or(0)).collect();
        Ok(Self {
            root: refs.get(index(ROOT)).copied().unwrap_or(0),
            refs,
            clamped_times: builder.clamped_times,
            inodes: builder.inodes.finish()?,
            directories: builder.directories.finish()?,
        })
    }
}

struct Builder<'b, 't, 'a> {
    order: &'b Order<'t>,
    data: &'b DataPlan<'a>,
    attributes: &'b mut Attributes,
    block_size: u32,
    inodes: MetadataWriter,
    directories: MetadataWriter,
    refs: Vec<Option<u64>>,
    clamped_times: u64,
}

/// A step of the walk that writes what is in a directory before it.
enum Step {
    Enter(u32),
    Leave(u32),
}

/// A listing in the directory table.
struct Listing {
    at: Position,
    bytes: u64,
    index: Vec<u8>,
    index_count: u16,
}

/// Entries that share a directory header.
struct Run<'t> {
    block: u32,
    number: u32,
    count: usize,
    first_name: &'t [u8],
    entries: Vec<u8>,
}

impl<'t> Builder<'_, 't, '_> {
    fn write_all(&mut self) -> Result<(), Error> {
        let mut steps = vec![Step::Enter(ROOT)];
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(directory) => {
                    steps.push(Step::Leave(directory));
                    let first = steps.len();
                    for (_, child) in self.order.children(directory) {
                        let child = self.order.number(child);
                        if matches!(self.order.inode(child).kind, Kind::Directory(_)) {
                            steps.push(Step::Enter(child));
                        }
                    }
                    if let Some(new) = steps.get_mut(first..) {
                        new.reverse();
                    }
                }
                Step::Leave(directory) => self.directory(directory)?,
            }
        }
        Ok(())
    }

    /// Writes what is in a directory and not written yet, its listing, and its
    /// inode.
    fn directory(&mut self, number: u32) -> Result<(), Error> {
        for (_, child) in self.order.children(number) {
            let child = self.order.number(child);
            let written = self.refs.get(index(child)).is_none_or(Option::is_some);
            if !written {
                self.inode(child)?;
            }
        }
        let listing = self.listing(number)?;
        self.directory_inode(number, &listing)
    }

    fn inode(&mut self, number: u32) -> Result<(), Error> {
        let inode = self.order.inode(number);
        let nlink = self.order.links(number);
        let xattr = self.xattr(number)?;
        let (basic_type, body) = match &inode.kind {
            Kind::File(_) => return self.file_inode(number, nlink, xattr),
            Kind::Symlink(target) => (TYPE_SYMLINK, self.symlink(number, nlink, target)?),
            Kind::CharDevice(device) => (TYPE_CHAR_DEVICE, self.device(number, nlink, *device)?),
            Kind::BlockDevice(device) => (TYPE_BLOCK_DEVICE, self.device(number, nlink, *device)?),
            Kind::Fifo => (TYPE_FIFO, ipc(nlink)),
            Kind::Socket => (TYPE_SOCKET, ipc(nlink)),
            // Directories come with their listing.
            Kind::Directory(_) => return Ok(()),
        };
        if xattr == NO_XATTRS {
            return self.put(number, basic_type, &body);
        }
        let mut extended = body;
        extended.extend_from_slice(&xattr.to_le_bytes());
        self.put(number, basic_type + TYPE_EXTENDED, &extended)
    }

    fn xattr(&mut self, number: u32) -> Result<u32, Error> {
        let order = self.order;
        self.attributes
            .xattrs(&order.inode(number).meta.xattrs, || order.path(number))
    }

    /// Appends an inode and notes where it is.
    fn put(&mut self, number: u32, inode_type: u16, body: &[u8]) -> Result<(), Error> {
        let meta = &self.order.inode(number).meta;
        let mtime = meta.mtime.clamp(0, i64::from(u32::MAX));
        self.clamped_times += u64::from(mtime != meta.mtime);
        let mut bytes = Vec::with_capacity(InodeHeader::SIZE + body.len());
        InodeHeader {
            inode_type,
            mode: meta.mode & MODE_MASK,
            uid: self.attributes.id(meta.uid)?,
            gid: self.attributes.id(meta.gid)?,
            mtime: u32::try_from(mtime).unwrap_or(u32::MAX),
            number,
        }
        .write(&mut bytes);
        bytes.extend_from_slice(body);
        let at = self.inodes.position();
        if let Some(place) = self.refs.get_mut(index(number)) {
            *place = Some(inode_ref(at.block, at.offset));
        }
        self.inodes.write(&bytes)
    }

    fn file_inode(&mut self, number: u32, nlink: u32, xattr: u32) -> Result<(), Error> {
        let place = self
            .data
            .file(number)
            .ok_or_else(|| super::missing_data(&self.order.path(number), u32::MAX, u32::MAX, 0))?;
        let sparse = place.content.hole_bytes(self.block_size);
        let mut body = Vec::new();
        let basic = u32::try_from(place.start)
            .ok()
            .zip(u32::try_from(place.content.size).ok())
            .filter(|_| nlink == 1 && xattr == NO_XATTRS && sparse == 0);
        let inode_type = if let Some((start, size)) = basic {
            BasicFile {
                start,
                fragment: place.fragment,
                offset: place.offset,
                size,
            }
            .write(&mut body);
            TYPE_FILE
        } else {
            ExtendedFile {
                start: place.start,
                size: place.content.size,
                sparse,
                nlink,
                fragment: place.fragment,
                offset: place.offset,
                xattr,
            }
            .write(&mut body);
            TYPE_FILE + TYPE_EXTENDED
        };
        for word in place.content.words(place.packed) {
            body.extend_from_slice(&word.to_le_bytes());
        }
        self.put(number, inode_type, &body)
    }

    fn symlink(&self, number: u32, nlink: u32, target: &[u8]) -> Result<Vec<u8>, Error> {
        let target_length = u32::try_from(target.len())
            .ok()
            .filter(|_| (1..=SYMLINK_BYTES_MAX).contains(&target.len()))
            .ok_or_else(|| {
                let (path, bytes) = (self.order.path(number), target.len());
                Error::unfit(format!(
                    "'{path}': the symbolic link's target has {bytes} bytes, Linux reads 1 to {SYMLINK_BYTES_MAX}"
                ))
            })?;
        let mut body = Vec::new();
        Symlink {
            nlink,
            target_length,
        }
        .write(&mut body);
        body.extend_from_slice(target);
        Ok(body)
    }

    fn device(&self, number: u32, nlink: u32, device: Device) -> Result<Vec<u8>, Error> {
        let Device { major, minor } = device;
        let device = encode_device(major, minor).ok_or_else(|| {
            let path = self.order.path(number);
            Error::unfit(format!(
                "'{path}': device {major}:{minor} does not fit in 12 and 20 bits"
            ))
        })?;
        let mut body = Vec::new();
        DeviceNode { nlink, device }.write(&mut body);
        Ok(body)
    }

    fn directory_inode(&mut self, number: u32, listing: &Listing) -> Result<(), Error> {
        let too_large = || {
            let path = self.order.path(number);
            Error::unfit(format!(
                "'{path}': the directory has more entries than SquashFS holds"
            ))
        };
        let nlink = self.order.links(number);
        let parent = self.order.parent(number);
        let size = u32::try_from(listing.bytes)
            .ok()
            .and_then(|bytes| bytes.checked_add(DIRECTORY_SIZE_BIAS))
            .ok_or_else(too_large)?;
        let block = u32::try_from(listing.at.block).map_err(|_| too_large())?;
        let offset = listing.at.offset;
        let xattr = self.xattr(number)?;
        let mut body = Vec::new();
        match u16::try_from(size) {
            Ok(size) if xattr == NO_XATTRS && listing.index_count == 0 => {
                BasicDirectory {
                    block,
                    nlink,
                    size,
                    offset,
                    parent,
                }
                .write(&mut body);
                self.put(number, TYPE_DIRECTORY, &body)
            }
            _ => {
                ExtendedDirectory {
                    nlink,
                    size,
                    block,
                    parent,
                    index_count: listing.index_count,
                    offset,
                    xattr,
                }
                .write(&mut body);
                body.extend_from_slice(&listing.index);
                self.put(number, TYPE_DIRECTORY + TYPE_EXTENDED, &body)
            }
        }
    }

    /// Writes a directory's entries in runs. A run ends where the next entry's
    /// inode is in another metadata block or its number too far away, and where
    /// the listing would grow more than a metadata block past the last index
    /// entry: there, the next run is indexed.
    fn listing(&mut self, number: u32) -> Result<Listing, Error> {
        let mut listing = Listing {
            at: self.directories.position(),
            bytes: 0,
            index: Vec::new(),
            index_count: 0,
        };
        let mut indexed_at = 0;
        let mut run: Option<Run<'t>> = None;
        for (name, child) in self.order.children(number) {
            let child = self.order.number(child);
            let (block, entry) = self.entry(number, name, child)?;
            let entry_bytes = DirectoryEntry::SIZE + name.len();
            let fits = run.as_ref().is_some_and(|run| {
                let after = listing.bytes + (run.bytes() + entry_bytes) as u64 - indexed_at;
                run.takes(block, child) && after <= METADATA_BYTES as u64
            });
            if !fits {
                self.end_run(run.take(), &mut listing, &mut indexed_at)?;
            }
            let run = run.get_or_insert_with(|| Run::new(block, child, name));
            run.add(child, entry, name);
        }
        self.end_run(run, &mut listing, &mut indexed_at)?;
        if listing.bytes == 0 {
            // No reader looks there, and the table may have nothing behind it.
            listing.at = Position {
                block: 0,
                offset: 0,
            };
        }
        Ok(listing)
    }

    /// The metadata block of a child's inode, and its directory entry with the
    /// number's difference still open.
    fn entry(
        &self,
        directory: u32,
        name: &[u8],
        child: u32,
    ) -> Result<(u32, DirectoryEntry), Error> {
        let name_length = u16::try_from(name.len())
            .ok()
            .filter(|_| name.len() <= NAME_BYTES_MAX)
            .and_then(|length| length.checked_sub(1))
            .ok_or_else(|| {
                let (path, bytes) = (self.order.entry_path(directory, name), name.len());
                Error::unfit(format!(
                    "'{path}': the name has {bytes} bytes, SquashFS holds {NAME_BYTES_MAX}"
                ))
            })?;
        let at = self.refs.get(index(child)).copied().flatten().unwrap_or(0);
        let (block, offset) = split_ref(at);
        let block = u32::try_from(block).map_err(|_| super::too_large("inode table"))?;
        let entry = DirectoryEntry {
            offset,
            number_delta: 0,
            inode_type: basic_type(&self.order.inode(child).kind),
            name_length,
        };
        Ok((block, entry))
    }

    fn end_run(
        &mut self,
        run: Option<Run<'t>>,
        listing: &mut Listing,
        indexed_at: &mut u64,
    ) -> Result<(), Error> {
        let Some(run) = run else {
            return Ok(());
        };
        let bytes = run.bytes() as u64;
        if listing.bytes + bytes - *indexed_at > METADATA_BYTES as u64
            && listing.index_count < u16::MAX
            && let (Ok(position), Ok(block)) = (
                u32::try_from(listing.bytes),
                u32::try_from(self.directories.position().block),
            )
        {
            DirectoryIndex {
                position,
                block,
                name_length: run.first_name.len().saturating_sub(1) as u32,
            }
            .write(&mut listing.index);
            listing.index.extend_from_slice(run.first_name);
            listing.index_count += 1;
            *indexed_at = listing.bytes;
        }
        let mut header = Vec::with_capacity(DirectoryHeader::SIZE);
        DirectoryHeader {
            // 1 to DIRECTORY_RUN_MAX entries.
            count: run.count.saturating_sub(1) as u32,
            block: run.block,
            number: run.number,
        }
        .write(&mut header);
        self.directories.write(&header)?;
        self.directories.write(&run.entries)?;
        listing.bytes += bytes;
        Ok(())
    }
}

impl<'t> Run<'t> {
    fn new(block: u32, number: u32, first_name: &'t [u8]) -> Self {
        Self {
            block,
            number,
            count: 0,
            first_name,
            entries: Vec::new(),
        }
    }

    fn bytes(&self) -> usize {
        DirectoryHeader::SIZE + self.entries.len()
    }

    fn takes(&self, block: u32, number: u32) -> bool {
        block == self.block && self.delta(number).is_some() && self.count < DIRECTORY_RUN_MAX
    }

    fn delta(&self, number: u32) -> Option<i16> {
        i16::try_from(i64::from(number) - i64::from(self.number)).ok()
    }

    fn add(&mut self, number: u32, entry: DirectoryEntry, name: &[u8]) {
        DirectoryEntry {
            number_delta: self.delta(number).unwrap_or(0),
            ..entry
        }
        .write(&mut self.entries);
        self.entries.extend_from_slice(name);
        self.count += 1;
    }
}

fn ipc(nlink: u32) -> Vec<u8> {
    let mut body = Vec::new();
    Ipc { nlink }.write(&mut body);
    body
}

fn basic_type(kind: &Kind) -> u16 {
    match kind {
        Kind::Directory(_) => TYPE_DIRECTORY,
        Kind::File(_) => TYPE_FILE,
        Kind::Symlink(_) => TYPE_SYMLINK,
        Kind::BlockDevice(_) => TYPE_BLOCK_DEVICE,
        Kind::CharDevice(_) => TYPE_CHAR_DEVICE,
        Kind::Fifo => TYPE_FIFO,
        Kind::Socket => TYPE_SOCKET,
    }
}
