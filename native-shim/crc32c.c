/*
 * CRC-32C (Castagnoli), by the instruction of SSE 4.2 or ARMv8 where the processor has it, else by
 * eight tables. The instruction has a latency of three cycles, so three lanes run side by side and
 * are joined by tables that advance a crc over one lane of zeros (after Mark Adler's crc32c.c).
 * Inline assembly instead of intrinsics: the latter need compiler flags that differ by compiler.
 */
#include "shim.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u
/* Three lanes and 64 bytes make one page. */
#define LANE_BYTES 1344u
#define LANE_WORDS (LANE_BYTES / 8)

static uint32_t slices[8][256];
static uint32_t lane_zeros[4][256];
static bool has_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
static bool find_instruction(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") != 0;
}
static inline uint64_t step8(uint64_t crc, uint64_t word) {
  __asm__("crc32q %1, %0" : "+r"(crc) : "rm"(word));
  return crc;
}
static inline uint64_t step1(uint64_t crc, unsigned char byte) {
  __asm__("crc32b %1, %0" : "+r"(crc) : "rm"(byte));
  return crc;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>
static bool find_instruction(void) {
  return (getauxval(AT_HWCAP) & (1ul << 7)) != 0; /* HWCAP_CRC32 */
}
static inline uint64_t step8(uint64_t crc, uint64_t word) {
  uint32_t value = (uint32_t)crc;
  __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(value) : "r"(word));
  return value;
}
static inline uint64_t step1(uint64_t crc, unsigned char byte) {
  uint32_t value = (uint32_t)crc;
  __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(value) : "r"((uint32_t)byte));
  return value;
}
#else
static bool find_instruction(void) {
  return false;
}
static uint64_t step8(uint64_t crc, uint64_t word) {
  return crc ^ word;
}
static uint64_t step1(uint64_t crc, unsigned char byte) {
  return crc ^ byte;
}
#endif

static inline uint64_t load8(const unsigned char *data) {
  uint64_t word;
  memcpy(&word, data, sizeof(word));
  return word;
}

static uint32_t by_table(const unsigned char *data, size_t bytes, uint32_t crc) {
  for (; bytes >= 8; bytes -= 8, data += 8) {
    uint64_t word = load8(data) ^ crc;
    crc = 0;
    for (int i = 0; i < 8; i++) crc ^= slices[7 - i][(word >> (8 * i)) & 255];
  }
  for (; bytes > 0; bytes--) crc = (crc >> 8) ^ slices[0][(crc ^ *data++) & 255];
  return crc;
}

static uint64_t skip_lane(uint64_t crc) {
  return lane_zeros[0][crc & 255] ^ lane_zeros[1][(crc >> 8) & 255] ^
         lane_zeros[2][(crc >> 16) & 255] ^ lane_zeros[3][(crc >> 24) & 255];
}

static uint32_t by_instruction(const unsigned char *data, size_t bytes, uint32_t seed) {
  uint64_t crc = seed;
  for (; bytes >= 3 * LANE_BYTES; bytes -= 3 * LANE_BYTES, data += 3 * LANE_BYTES) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t at = 0; at < LANE_BYTES; at += 8) {
      crc = step8(crc, load8(data + at));
      second = step8(second, load8(data + LANE_BYTES + at));
      third = step8(third, load8(data + 2 * LANE_BYTES + at));
    }
    crc = skip_lane(skip_lane(crc) ^ second) ^ third;
  }
  for (; bytes >= 8; bytes -= 8, data += 8) crc = step8(crc, load8(data));
  for (; bytes > 0; bytes--) crc = step1(crc, *data++);
  return (uint32_t)crc;
}

static void fill_slices(void) {
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t crc = n;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
    slices[0][n] = crc;
  }
  for (uint32_t n = 0; n < 256; n++) {
    for (int i = 1; i < 8; i++) {
      slices[i][n] = (slices[i - 1][n] >> 8) ^ slices[0][slices[i - 1][n] & 255];
    }
  }
}

/* A crc over zeros is linear in its bits: 32 runs over one lane give every table entry. */
static void fill_lane_zeros(void) {
  static const unsigned char zeros[LANE_BYTES];
  for (int byte = 0; byte < 4; byte++) {
    for (int bit = 0; bit < 8; bit++) {
      uint32_t moved = by_table(zeros, LANE_BYTES, 1u << (8 * byte + bit));
      for (uint32_t n = 0; n < 256; n++) {
        if ((n >> bit & 1) != 0) lane_zeros[byte][n] ^= moved;
      }
    }
  }
}

static void start_once(void) {
  fill_slices();
  fill_lane_zeros();
  has_instruction = find_instruction();
}

void crc32c_start(void) {
  pthread_once(&once, start_once);
}

uint32_t crc32c(const unsigned char *data, size_t bytes, uint32_t seed) {
  return ~(has_instruction ? by_instruction(data, bytes, ~seed) : by_table(data, bytes, ~seed));
}

napi_value shim_crc32c(napi_env env, napi_callback_info info) {
  napi_value values[4];
  Array data;
  uint64_t at, bytes, seed;
  if (!take_arguments(env, info, values, 4) ||
      !take_array(env, values[0], "data", napi_uint8_array, &data) ||
      !take_integer(env, values[1], "at", (double)data.length, &at) ||
      !take_integer(env, values[2], "bytes", (double)(data.length - at), &bytes) ||
      !take_integer(env, values[3], "seed", UINT32_MAX, &seed)) {
    return NULL;
  }
  if (bytes == 0) return give_number(env, (double)seed);
  return give_number(env, crc32c((unsigned char *)data.data + at, bytes, (uint32_t)seed));
}
