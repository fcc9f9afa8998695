//! Numbers as bytes, and back; what is read is never believed beyond its end.

/// The bytes do not hold what they should; in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub &'static str);

/// Appends numbers to bytes.
#[derive(Default)]
pub struct Put(pub Vec<u8>);

impl Put {
    /// Seven bits a byte, lowest first.
    pub fn number(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    /// A number with a sign: small ones of either sign are short.
    pub fn signed(&mut self, n: i64) {
        self.number(((n << 1) ^ (n >> 63)) as u64);
    }

    /// Bytes with their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A text that may be missing.
    pub fn maybe(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        if let Some(text) = text {
            self.bytes(text.as_bytes());
        }
    }
}

/// Reads them again.
#[derive(Clone, Copy)]
pub struct Get<'a>(pub &'a [u8]);

impl<'a> Get<'a> {
    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Broken> {
        let (&first, rest) = self.0.split_first().ok_or(Broken("it ends too early"))?;
        self.0 = rest;
        Ok(first)
    }

    /// See [`Put::number`].
    #[inline]
    pub fn number(&mut self) -> Result<u64, Broken> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if shift == 63 && byte > 1 { Err(Broken("a number is too large")) } else { Ok(n) };
            }
        }
        Err(Broken("a number is too large"))
    }

    /// See [`Put::signed`].
    #[inline]
    pub fn signed(&mut self) -> Result<i64, Broken> {
        let n = self.number()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// A number of a smaller type.
    #[inline]
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Broken> {
        T::try_from(self.number()?).map_err(|_| Broken("a number is too large"))
    }

    /// So many bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Broken("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// See [`Put::bytes`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let n = self.small::<usize>()?;
        self.take(n)
    }

    /// A text of [`Put::bytes`].
    pub fn text(&mut self) -> Result<String, Broken> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Broken("a text is no UTF-8"))
    }

    /// See [`Put::maybe`].
    pub fn maybe(&mut self) -> Result<Option<String>, Broken> {
        match self.number()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            _ => Err(Broken("a mark is neither yes nor no")),
        }
    }

    /// Nothing must be left.
    pub fn end(self) -> Result<(), Broken> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Broken("something stands behind its end"))
        }
    }
}
