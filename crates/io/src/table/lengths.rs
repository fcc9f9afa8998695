//! Looks whether the lengths in a compressed Arrow file can be true, before memory is taken for them.

use std::io::{Read, Seek, SeekFrom};

use arrow_ipc::{root_as_footer, root_as_message};

/// LZ4 makes no less of a byte: a block's longest match takes a byte for 255.
const RATIO: u64 = 256;
/// Largest description of a batch that is read, and of the whole file.
const DESCRIPTION: u64 = 1 << 24;
const ENDS: u64 = 10;

/// Checks every buffer of every batch. The error says in words what is wrong.
pub fn check<R: Read + Seek>(input: &mut R) -> Result<(), String> {
    let broken = || "its Arrow data is broken".to_owned();
    let size = input.seek(SeekFrom::End(0)).map_err(|e| e.to_string())?;
    let footer_end =
        size.checked_sub(ENDS).ok_or_else(|| "it is no Arrow IPC file: it is too short".to_owned())?;
    let long = i32::from_le_bytes(read(input, footer_end, 4)?.try_into().map_err(|_| broken())?);
    let start = u64::try_from(long).ok().and_then(|long| footer_end.checked_sub(long)).ok_or_else(broken)?;
    let bytes = read(input, start, footer_end - start)?;
    let footer = root_as_footer(&bytes).map_err(|e| format!("it is no Arrow IPC file: {e}"))?;
    if footer.dictionaries().is_some_and(|all| !all.is_empty()) {
        return Err("it has dictionaries, which no table of flowkeep has".to_owned());
    }
    for block in footer.recordBatches().iter().flatten() {
        let at = u64::try_from(block.offset()).map_err(|_| broken())?;
        let long = u64::try_from(block.metaDataLength()).map_err(|_| broken())?;
        // The Arrow reader takes memory for the whole block before it reads it.
        let own = u64::try_from(block.bodyLength()).map_err(|_| broken())?;
        if at.saturating_add(long).saturating_add(own) > footer_end {
            return Err(format!("its Arrow data is broken: a batch of {own} bytes at byte {at} of {size}"));
        }
        let bytes = read(input, at, long)?;
        // The description stands behind its own length, which a mark may precede.
        let skip = if bytes.starts_with(&[0xff; 4]) { 8 } else { 4 };
        let message = root_as_message(bytes.get(skip..).unwrap_or_default()).map_err(|_| broken())?;
        let batch = message.header_as_record_batch().ok_or_else(broken)?;
        if batch.compression().is_none() {
            continue;
        }
        let body = at.saturating_add(long);
        for buffer in batch.buffers().iter().flatten() {
            let packed = u64::try_from(buffer.length()).map_err(|_| broken())?;
            let place = u64::try_from(buffer.offset()).map_err(|_| broken())?;
            if packed == 0 {
                continue;
            }
            let plain = read(input, body.saturating_add(place), 8)?.try_into().map_err(|_| broken())?;
            let plain = i64::from_le_bytes(plain);
            if plain < -1 || u64::try_from(plain).is_ok_and(|plain| plain > packed.saturating_mul(RATIO)) {
                return Err(format!("its Arrow data is broken: {packed} bytes cannot become {plain}"));
            }
        }
    }
    input.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    Ok(())
}

fn read<R: Read + Seek>(input: &mut R, at: u64, long: u64) -> Result<Vec<u8>, String> {
    if long > DESCRIPTION {
        return Err(format!("its Arrow data is broken: a description of {long} bytes"));
    }
    let mut bytes = vec![0; long as usize];
    let done = input.seek(SeekFrom::Start(at)).and_then(|_| input.read_exact(&mut bytes));
    done.map_err(|_| "its Arrow data is broken: it ends too early".to_owned())?;
    Ok(bytes)
}
