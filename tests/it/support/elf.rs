//! The smallest files that isoforge takes for programs of a machine.

/// A program header without meaning, and one that names a loader.
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

/// A statically linked program for `arch` that does nothing.
pub(crate) fn appliance(arch: &str) -> Vec<u8> {
    program(arch, PT_LOAD)
}

/// One that is linked dynamically.
pub(crate) fn dynamic(arch: &str) -> Vec<u8> {
    program(arch, PT_INTERP)
}

/// A 64-bit little-endian ELF file with one program header (System V ABI).
fn program(arch: &str, header: u32) -> Vec<u8> {
    let machine: u16 = match arch {
        "amd64" => 62,
        "arm64" => 183,
        other => panic!("no machine number of {other}"),
    };
    let mut bytes = vec![0; 64 + 56];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16] = 2;
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 1;
    bytes[64..68].copy_from_slice(&header.to_le_bytes());
    bytes
}
