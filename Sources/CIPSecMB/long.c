// SHA-256 of many long pieces at once: those that the multi-buffer library doesn't take, since it counts a lane's bytes
// in 16 bits. Two streams through the processor's SHA instructions, or 16 or 8 lanes of vectors.
#include "CIPSecMB.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <string.h>

enum { BEST, SSE, SSE_SHA, AVX2, AVX512, WAYS };
enum { BLOCK = 64, MOST = 16 };

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static const uint32_t START[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/// A piece on its way: its state, its whole blocks, and what follows them, padded.
typedef struct {
  uint32_t state[8];
  const uint8_t *next;
  size_t blocks;
  uint8_t tail[2 * BLOCK];
  size_t tail_blocks;
} Lane;

/// Takes so many blocks of each lane; there are as many lanes as the way has.
typedef void (*Compress)(Lane *const *lanes, size_t blocks);

// MARK: The SHA instructions

#define SHA_TARGET __attribute__((target("sha,sse4.1")))

SHA_TARGET static inline void to_halves(const uint32_t *state, __m128i *abef, __m128i *cdgh) {
  __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xB1);
  __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1B);
  *abef = _mm_alignr_epi8(abcd, efgh, 8);
  *cdgh = _mm_blend_epi16(efgh, abcd, 0xF0);
}

SHA_TARGET static inline void from_halves(uint32_t *state, __m128i abef, __m128i cdgh) {
  __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
  __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/// Four rounds of one stream; `w` has the last sixteen words of the schedule, four in each place.
SHA_TARGET static inline void four_rounds(__m128i *abef, __m128i *cdgh, __m128i w[4], int group) {
  __m128i words = w[group & 3];
  if (group >= 4) {
    __m128i before = w[(group + 3) & 3];
    __m128i sum = _mm_add_epi32(
        _mm_sha256msg1_epu32(words, w[(group + 1) & 3]), _mm_alignr_epi8(before, w[(group + 2) & 3], 4));
    words = w[group & 3] = _mm_sha256msg2_epu32(sum, before);
  }
  __m128i keyed = _mm_add_epi32(words, _mm_loadu_si128((const __m128i *)(K + 4 * group)));
  *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, keyed);
  *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(keyed, 0x0E));
}

SHA_TARGET static void compress_sha(Lane *const *lanes, size_t blocks) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  __m128i abef[2], cdgh[2], w[2][4];
  for (int lane = 0; lane < 2; lane++) to_halves(lanes[lane]->state, &abef[lane], &cdgh[lane]);
  const uint8_t *data[2] = {lanes[0]->next, lanes[1]->next};
  for (size_t block = 0; block < blocks; block++) {
    __m128i abef_before[2] = {abef[0], abef[1]}, cdgh_before[2] = {cdgh[0], cdgh[1]};
    for (int lane = 0; lane < 2; lane++) {
      for (int place = 0; place < 4; place++)
        w[lane][place] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data[lane] + place), swap);
      data[lane] += BLOCK;
    }
#pragma clang loop unroll(full)
    for (int group = 0; group < 16; group++) {
      four_rounds(&abef[0], &cdgh[0], w[0], group);
      four_rounds(&abef[1], &cdgh[1], w[1], group);
    }
    for (int lane = 0; lane < 2; lane++) {
      abef[lane] = _mm_add_epi32(abef[lane], abef_before[lane]);
      cdgh[lane] = _mm_add_epi32(cdgh[lane], cdgh_before[lane]);
    }
  }
  for (int lane = 0; lane < 2; lane++) from_halves(lanes[lane]->state, abef[lane], cdgh[lane]);
}

// MARK: Vectors

static inline uint32_t load_word(const uint8_t *bytes) {
  uint32_t word;
  memcpy(&word, bytes, 4);
  return __builtin_bswap32(word);
}

#define ROTATE(x, n) (((x) >> (n)) | ((x) << (32 - (n))))

/// The same rounds for any number of lanes, each of which has its place in the vectors.
#define DEFINE_COMPRESS(NAME, TARGET, LANES)                                                                       \
  typedef uint32_t NAME##_vector __attribute__((vector_size(4 * LANES)));                                          \
  __attribute__((target(TARGET))) static void NAME(Lane *const *lanes, size_t blocks) {                            \
    NAME##_vector state[8], w[16];                                                                                 \
    for (int word = 0; word < 8; word++)                                                                           \
      for (int lane = 0; lane < LANES; lane++) state[word][lane] = lanes[lane]->state[word];                       \
    for (size_t block = 0; block < blocks; block++) {                                                              \
      for (int word = 0; word < 16; word++)                                                                        \
        for (int lane = 0; lane < LANES; lane++)                                                                   \
          w[word][lane] = load_word(lanes[lane]->next + block * BLOCK + word * 4);                                 \
      NAME##_vector a = state[0], b = state[1], c = state[2], d = state[3];                                        \
      NAME##_vector e = state[4], f = state[5], g = state[6], h = state[7];                                        \
      for (int round = 0; round < 64; round++) {                                                                   \
        NAME##_vector word = w[round & 15];                                                                        \
        if (round >= 16) {                                                                                         \
          NAME##_vector early = w[(round + 1) & 15], late = w[(round + 14) & 15];                                  \
          word += (ROTATE(early, 7) ^ ROTATE(early, 18) ^ (early >> 3)) + w[(round + 9) & 15] +                    \
                  (ROTATE(late, 17) ^ ROTATE(late, 19) ^ (late >> 10));                                            \
          w[round & 15] = word;                                                                                    \
        }                                                                                                          \
        NAME##_vector one = (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + (g ^ (e & (f ^ g)));                  \
        one += h + word + K[round];                                                                                \
        NAME##_vector two = (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & b) | (c & (a | b)));            \
        h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;                                      \
      }                                                                                                            \
      state[0] += a, state[1] += b, state[2] += c, state[3] += d;                                                  \
      state[4] += e, state[5] += f, state[6] += g, state[7] += h;                                                  \
    }                                                                                                              \
    for (int word = 0; word < 8; word++)                                                                           \
      for (int lane = 0; lane < LANES; lane++) lanes[lane]->state[word] = state[word][lane];                       \
  }

DEFINE_COMPRESS(compress_avx2, "avx2", 8)
DEFINE_COMPRESS(compress_avx512, "avx512f,avx512bw", 16)

// MARK: Pieces

static void begin(Lane *lane, const uint8_t *bytes, size_t length) {
  memcpy(lane->state, START, sizeof START);
  lane->next = bytes;
  lane->blocks = length / BLOCK;
  size_t rest = length % BLOCK;
  lane->tail_blocks = rest + 9 > BLOCK ? 2 : 1;
  memset(lane->tail, 0, sizeof lane->tail);
  if (rest > 0) memcpy(lane->tail, bytes + lane->blocks * BLOCK, rest);
  lane->tail[rest] = 0x80;
  uint64_t bits = __builtin_bswap64((uint64_t)length * 8);
  memcpy(lane->tail + lane->tail_blocks * BLOCK - 8, &bits, 8);
}

/// Hashes at most as many pieces as there are lanes: what all have left at once, until none has anything left. Lanes
/// that are done, or were never needed, go over what another has, to no effect.
static void hash_group(Compress compress, int count, Lane *lanes, int used) {
  Lane idle;
  for (;;) {
    size_t least = SIZE_MAX;
    const uint8_t *some = NULL;
    for (int place = 0; place < used; place++) {
      Lane *lane = &lanes[place];
      if (lane->blocks == 0 && lane->tail_blocks > 0) {
        lane->next = lane->tail;
        lane->blocks = lane->tail_blocks;
        lane->tail_blocks = 0;
      }
      if (lane->blocks > 0 && lane->blocks < least) least = lane->blocks, some = lane->next;
    }
    if (some == NULL) return;
    Lane *group[MOST];
    idle.next = some;
    memset(idle.state, 0, sizeof idle.state);
    for (int place = 0; place < count; place++)
      group[place] = place < used && lanes[place].blocks > 0 ? &lanes[place] : &idle;
    compress(group, least);
    for (int place = 0; place < used; place++) {
      if (lanes[place].blocks == 0) continue;
      lanes[place].next += least * BLOCK;
      lanes[place].blocks -= least;
    }
  }
}

static const int lane_count[WAYS] = {0, 0, 2, 8, 16};
static const Compress compressors[WAYS] = {NULL, NULL, compress_sha, compress_avx2, compress_avx512};

static void hash_all(int way, const uint8_t *const *pieces, const size_t *lengths, size_t count, uint8_t *hashes) {
  Lane lanes[MOST];
  for (size_t first = 0; first < count; first += (size_t)lane_count[way]) {
    int used = (int)(count - first < (size_t)lane_count[way] ? count - first : (size_t)lane_count[way]);
    for (int place = 0; place < used; place++) begin(&lanes[place], pieces[first + place], lengths[first + place]);
    hash_group(compressors[way], lane_count[way], lanes, used);
    for (int place = 0; place < used; place++)
      for (int word = 0; word < 8; word++) {
        uint32_t value = __builtin_bswap32(lanes[place].state[word]);
        memcpy(hashes + (first + place) * 32 + word * 4, &value, 4);
      }
  }
}

// MARK: Choosing

static int works[WAYS];
static int best;
static pthread_once_t chosen = PTHREAD_ONCE_INIT;

/// Whether a way hashes right: a message of one block, in more pieces than there are lanes.
static int is_right(int way) {
  static const uint8_t expected[32] = {
      0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
      0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
  const uint8_t *pieces[17];
  size_t lengths[17];
  uint8_t hashes[17 * 32] = {0};
  for (int index = 0; index < 17; index++) {
    pieces[index] = (const uint8_t *)"abc";
    lengths[index] = 3;
  }
  hash_all(way, pieces, lengths, 17, hashes);
  for (int index = 0; index < 17; index++)
    if (memcmp(hashes + index * 32, expected, 32) != 0) return 0;
  return 1;
}

static void choose(void) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  __builtin_cpu_init();
  int has_sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1) && __builtin_cpu_supports("sse4.1");
  int possible[WAYS] = {0, 0, has_sha, __builtin_cpu_supports("avx2"),
                        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")};
  static const int ranking[] = {SSE_SHA, AVX512, AVX2};
  for (int rank = 0; rank < 3; rank++) {
    int way = ranking[rank];
    works[way] = possible[way] && is_right(way);
    if (works[way] && best == 0) best = way;
  }
}

static int resolve(int way) {
  pthread_once(&chosen, choose);
  if (way <= BEST || way >= WAYS) return best;
  return works[way] ? way : 0;
}

int cipsecmb_long_lanes(int way) { return lane_count[resolve(way)]; }

int cipsecmb_hash_long(int way, const uint8_t *const *pieces, const size_t *lengths, size_t count, uint8_t *hashes) {
  way = resolve(way);
  if (way == 0) return 0;
  hash_all(way, pieces, lengths, count, hashes);
  return 1;
}

#else

int cipsecmb_long_lanes(int way) { return (void)way, 0; }
int cipsecmb_hash_long(int way, const uint8_t *const *pieces, const size_t *lengths, size_t count, uint8_t *hashes) {
  return (void)way, (void)pieces, (void)lengths, (void)count, (void)hashes, 0;
}

#endif
