// SHA-256 of many pieces at once, by Intel's multi-buffer library where the machine has it, and by code of our own.
//
// The library is opened when it is first needed, so that a node which hashes nothing never carries it, and a machine
// without it is served all the same: then each of these answers 0, and the caller hashes in another way.
#ifndef CIPSECMB_H
#define CIPSECMB_H

#include <stddef.h>
#include <stdint.h>

/// The shortest and the longest piece that is taken: the library counts a lane's bytes in 16 bits, and takes none of
/// nothing.
#define CIPSECMB_SHORTEST 1
#define CIPSECMB_LONGEST 65408

/// How many pieces are hashed side by side; 0 when the library isn't to be had here. `way` is how:
/// 0 the best of this processor, or a way to be tested: 1 SSE, 2 SSE with the SHA instructions, 3 AVX2, 4 AVX-512.
int cipsecmb_lanes(int way);

/// Hashes pieces of `chunk` bytes, which lie one after the other; the last may be shorter. `hashes` takes 32 bytes for
/// each. Answers 1, or 0 when it can't and nothing was written that may be used. Any thread may call it.
int cipsecmb_hash_chunks(int way, const uint8_t *data, size_t length, size_t chunk, uint8_t *hashes);

/// Hashes pieces that lie apart.
int cipsecmb_hash_each(int way, const uint8_t *const *pieces, const size_t *lengths, size_t count, uint8_t *hashes);

/// The same for pieces of any length, by code of our own that needs no library; way 1 is never to be had.
int cipsecmb_long_lanes(int way);
int cipsecmb_hash_long(int way, const uint8_t *const *pieces, const size_t *lengths, size_t count, uint8_t *hashes);

#endif
