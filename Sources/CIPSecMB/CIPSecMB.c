// SHA-256 of many pieces at once, by Intel's multi-buffer library where the machine has it.
#include "CIPSecMB.h"

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<intel-ipsec-mb.h>)
#define HAS_LIBRARY 1
#endif
#endif

#ifdef HAS_LIBRARY

#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <string.h>

enum { BEST, SSE, SSE_SHA, AVX2, AVX512, WAYS };

/// A manager carries the library's state of the jobs under way; one belongs to one call at a time.
enum { KEPT = 16 };

static struct {
  pthread_mutex_t lock;
  /// What the processor can do, what was tried, and what hashes right.
  int possible[WAYS], tried[WAYS], works[WAYS];
  IMB_MGR *idle[WAYS][KEPT];
  int idle_count[WAYS];
  IMB_MGR *(*allocate)(uint64_t);
  void (*release)(IMB_MGR *);
  void (*init_sse)(IMB_MGR *), (*init_avx2)(IMB_MGR *), (*init_avx512)(IMB_MGR *);
  int best;
} library = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t opened = PTHREAD_ONCE_INIT;

static IMB_MGR *make(int way) {
  IMB_MGR *manager = library.allocate(way == SSE ? IMB_FLAG_SHANI_OFF : 0);
  if (manager == NULL) return NULL;
  if (way == AVX512) library.init_avx512(manager);
  else if (way == AVX2) library.init_avx2(manager);
  else library.init_sse(manager);
  if (manager->imb_errno == 0) return manager;
  library.release(manager);
  return NULL;
}

static void hash(IMB_MGR *manager, const uint8_t *const *pieces, const size_t *lengths, const uint8_t *data,
                 size_t length, size_t chunk, size_t count, uint8_t *hashes) {
  for (size_t index = 0; index < count; index++) {
    IMB_JOB *job = IMB_GET_NEXT_JOB(manager);
    memset(job, 0, sizeof *job);
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_256;
    size_t rest = length - index * chunk;
    job->src = pieces ? pieces[index] : data + index * chunk;
    job->msg_len_to_hash_in_bytes = pieces ? lengths[index] : rest < chunk ? rest : chunk;
    job->auth_tag_output = hashes + index * 32;
    job->auth_tag_output_len_in_bytes = 32;
    IMB_SUBMIT_JOB_NOCHECK(manager);
  }
  while (IMB_FLUSH_JOB(manager) != NULL) {}
}

/// Whether a manager hashes right: a message of one block, in more pieces than there are lanes.
static int is_right(IMB_MGR *manager) {
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
  hash(manager, pieces, lengths, NULL, 0, 0, 17, hashes);
  for (int index = 0; index < 17; index++)
    if (memcmp(hashes + index * 32, expected, 32) != 0) return 0;
  return 1;
}

/// Tries a way once, and keeps its manager for the first call.
static void try_way(int way) {
  if (!library.possible[way] || library.tried[way]) return;
  library.tried[way] = 1;
  IMB_MGR *manager = make(way);
  if (manager == NULL) return;
  if (!is_right(manager)) return library.release(manager);
  library.works[way] = 1;
  library.idle[way][library.idle_count[way]++] = manager;
}

static void open_library(void) {
  // Closed only with the process: threads may be in it.
  void *handle = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) return;
  unsigned (*version)(void) = (unsigned (*)(void))dlsym(handle, "imb_get_version");
  library.allocate = (IMB_MGR * (*)(uint64_t)) dlsym(handle, "alloc_mb_mgr");
  library.release = (void (*)(IMB_MGR *))dlsym(handle, "free_mb_mgr");
  library.init_sse = (void (*)(IMB_MGR *))dlsym(handle, "init_mb_mgr_sse");
  library.init_avx2 = (void (*)(IMB_MGR *))dlsym(handle, "init_mb_mgr_avx2");
  library.init_avx512 = (void (*)(IMB_MGR *))dlsym(handle, "init_mb_mgr_avx512");
  // What a job looks like changes from one version to the next, so only the version of the header will do.
  if (version == NULL || version() != IMB_VERSION_NUM) return;
  if (!library.allocate || !library.release || !library.init_sse || !library.init_avx2 || !library.init_avx512) return;
  IMB_MGR *manager = library.allocate(0);
  if (manager == NULL) return;
  uint64_t features = manager->features;
  library.release(manager);
  const uint64_t avx512 = IMB_FEATURE_AVX512F | IMB_FEATURE_AVX512DQ | IMB_FEATURE_AVX512CD | IMB_FEATURE_AVX512BW |
                          IMB_FEATURE_AVX512VL;
  library.possible[SSE] = 1;
  library.possible[SSE_SHA] = (features & IMB_FEATURE_SHANI) != 0;
  library.possible[AVX2] = (features & IMB_FEATURE_AVX2) != 0;
  library.possible[AVX512] = (features & avx512) == avx512;
  // Two streams through the SHA instructions are over twice as fast as eight lanes of AVX2.
  static const int ranking[] = {AVX512, SSE_SHA, AVX2, SSE};
  for (int rank = 0; rank < 4 && library.best == 0; rank++) {
    try_way(ranking[rank]);
    if (library.works[ranking[rank]]) library.best = ranking[rank];
  }
}

/// The way that is meant, if it can be gone here; else 0.
static int resolve(int way) {
  pthread_once(&opened, open_library);
  if (way <= BEST || way >= WAYS) return library.best;
  pthread_mutex_lock(&library.lock);
  try_way(way);
  if (!library.works[way]) way = 0;
  pthread_mutex_unlock(&library.lock);
  return way;
}

int cipsecmb_lanes(int way) {
  static const int lanes[WAYS] = {0, 4, 2, 8, 16};
  return lanes[resolve(way)];
}

static IMB_MGR *take(int way) {
  IMB_MGR *manager = NULL;
  pthread_mutex_lock(&library.lock);
  if (library.idle_count[way] > 0) manager = library.idle[way][--library.idle_count[way]];
  pthread_mutex_unlock(&library.lock);
  return manager != NULL ? manager : make(way);
}

static void give_back(int way, IMB_MGR *manager) {
  pthread_mutex_lock(&library.lock);
  int kept = library.idle_count[way] < KEPT;
  if (kept) library.idle[way][library.idle_count[way]++] = manager;
  pthread_mutex_unlock(&library.lock);
  if (!kept) library.release(manager);
}

int cipsecmb_hash_chunks(int way, const uint8_t *data, size_t length, size_t chunk, uint8_t *hashes) {
  way = resolve(way);
  if (way == 0 || chunk < CIPSECMB_SHORTEST || chunk > CIPSECMB_LONGEST) return 0;
  IMB_MGR *manager = take(way);
  if (manager == NULL) return 0;
  hash(manager, NULL, NULL, data, length, chunk, length / chunk + (length % chunk != 0), hashes);
  give_back(way, manager);
  return 1;
}

int cipsecmb_hash_each(int way, const uint8_t *const *pieces, const size_t *lengths, size_t count, uint8_t *hashes) {
  way = resolve(way);
  if (way == 0) return 0;
  for (size_t index = 0; index < count; index++)
    if (lengths[index] < CIPSECMB_SHORTEST || lengths[index] > CIPSECMB_LONGEST) return 0;
  IMB_MGR *manager = take(way);
  if (manager == NULL) return 0;
  hash(manager, pieces, lengths, NULL, 0, 0, count, hashes);
  give_back(way, manager);
  return 1;
}

#else

int cipsecmb_lanes(int way) { return (void)way, 0; }
int cipsecmb_hash_chunks(int way, const uint8_t *data, size_t length, size_t chunk, uint8_t *hashes) {
  return (void)way, (void)data, (void)length, (void)chunk, (void)hashes, 0;
}
int cipsecmb_hash_each(int way, const uint8_t *const *pieces, const size_t *lengths, size_t count, uint8_t *hashes) {
  return (void)way, (void)pieces, (void)lengths, (void)count, (void)hashes, 0;
}

#endif
