//! Numbers and lists as bytes, and back. Little-endian; nothing that is read is trusted.

use libactor::journal::Fault;

/// Writes.
pub(super) trait Put {
    fn u8(&mut self, value: u8);
    fn u32(&mut self, value: u32);
    fn u64(&mut self, value: u64);
    fn list(&mut self, values: &[u64]);
}

impl Put for Vec<u8> {
    fn u8(&mut self, value: u8) {
        self.push(value);
    }

    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn list(&mut self, values: &[u64]) {
        self.u32(u32::try_from(values.len()).expect("there are not that many members"));
        values.iter().for_each(|value| self.u64(*value));
    }
}

/// Reads, from front to back.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        if count > self.0.len() {
            return Err(Fault::Damaged("it is too short".to_owned()));
        }
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        Ok(self.take(N)?.try_into().expect("as many as asked for"))
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn bytes16(&mut self) -> Result<[u8; 16], Fault> {
        self.array()
    }

    /// A count of things that take at least so many bytes each.
    pub(super) fn count(&mut self, each: usize) -> Result<usize, Fault> {
        let count = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if count > self.0.len() / each {
            return Err(Fault::Damaged("it is too short for what it counts".to_owned()));
        }
        Ok(count)
    }

    pub(super) fn list(&mut self) -> Result<Vec<u64>, Fault> {
        let count = self.count(8)?;
        (0..count).map(|_| self.u64()).collect()
    }

    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::Damaged("more follows than it says".to_owned())) }
    }
}
