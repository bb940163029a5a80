//! Several hundred seeds: everything goes wrong, then nothing does.
