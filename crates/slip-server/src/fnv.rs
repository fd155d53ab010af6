//! FNV-1a: a number for a few bytes, the same in every process. For what nobody gains by making collide.

/// Of no bytes.
pub const START: u64 = 0xCBF2_9CE4_8422_2325;

/// The number of what was before and these bytes after it.
pub fn on(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_function_and_goes_on_where_it_was() {
        assert_eq!(
            (on(START, b""), on(START, b"a"), on(START, b"foobar")),
            (START, 0xAF63_DC4C_8601_EC8C, 0x8594_4171_F739_67E8)
        );
        assert_eq!(on(on(START, b"foo"), b"bar"), on(START, b"foobar"));
    }
}
