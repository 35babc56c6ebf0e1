/* Packed attention on bfloat16 with float32 sums: both products run on VDPBF16PS.
 *
 * That instruction multiplies pairs, so keys are packed as pairs along the head width and values as
 * pairs of neighbouring keys.
 */
#include "attention_job.h"

TARGET_AVX512_BF16

typedef uint16_t element;

#define ATTEND_NAME mgte_attend_bf16
#define PACK_NAME mgte_pack_keys_values_bf16
#define SCRATCH_NAME mgte_attend_scratch_bf16
#define PAIR 2
#define EXP2 exp2_degree3

/* C[mr, 16 nv] (+)= A[mr, depth] * B[depth, 16 nv]; depth is even, B holds pairs of its rows. */
ALWAYS_INLINE void multiply(const int mr, const int nv, const uint16_t *a, ptrdiff_t lda,
                            const uint16_t *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc,
                            ptrdiff_t depth, int accumulate) {
    __m512 sum[6][4];
#pragma GCC unroll 6
    for (int i = 0; i < mr; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++) {
            sum[i][j] = accumulate ? _mm512_loadu_ps(c + i * ldc + 16 * j) : _mm512_setzero_ps();
        }
    }
    for (ptrdiff_t k = 0; k < depth; k += 2) {
        __m512bh right[4];
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++) {
            right[j] = (__m512bh)_mm512_loadu_si512(b + k * ldb + 32 * j);
        }
#pragma GCC unroll 6
        for (int i = 0; i < mr; i++) {
            int32_t pair;
            memcpy(&pair, a + i * lda + k, sizeof pair);
            const __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (int j = 0; j < nv; j++) sum[i][j] = _mm512_dpbf16_ps(sum[i][j], left, right[j]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < mr; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++) _mm512_storeu_ps(c + i * ldc + 16 * j, sum[i][j]);
    }
}

/* Keys [length, dim] -> panels of 64 keys, each [dim / 2, 64, 2]; keys beyond the end are zero. */
static void pack_keys(const uint16_t *keys, ptrdiff_t ld, ptrdiff_t length, ptrdiff_t dim,
                      uint16_t *panels) {
    for (ptrdiff_t first = 0; first < length; first += 16) {
        uint16_t *target = panels + (first / 64) * 64 * dim + 2 * (first % 64);
        const ptrdiff_t count = length - first < 16 ? length - first : 16;
        for (ptrdiff_t d = 0; d < dim; d += 32) {
            const __mmask32 mask = dim - d >= 32 ? 0xffffffffu : 0xffffu;
            const int pairs = dim - d >= 32 ? 16 : 8;
            __m512i rows[16];
            for (int i = 0; i < 16; i++) {
                rows[i] = i < count ? _mm512_maskz_loadu_epi16(mask, keys + (first + i) * ld + d)
                                    : _mm512_setzero_si512();
            }
            transpose16(rows);
            for (int i = 0; i < pairs; i++) {
                _mm512_storeu_si512(target + (d / 2 + i) * 128, rows[i]);
            }
        }
    }
}

/* Values [length, dim] -> [length / 2, dim, 2]; an odd last row is paired with zeros. */
static void pack_values(const uint16_t *values, ptrdiff_t ld, ptrdiff_t length, ptrdiff_t dim,
                        uint16_t *packed) {
    for (ptrdiff_t i = 0; i < length; i += 2) {
        for (ptrdiff_t d = 0; d < dim; d += 16) {
            const uint16_t *at = values + i * ld + d;
            const __m512i even = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)at));
            const __m512i odd =
                i + 1 < length
                    ? _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(at + ld)))
                    : _mm512_setzero_si512();
            _mm512_storeu_si512(packed + i * dim + 2 * d,
                                _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
        }
    }
}

ALWAYS_INLINE void store_output(element *to, __m512 x) {
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(x));
}

ALWAYS_INLINE void store_probabilities(element *to, __m512 x) { store_output(to, x); }

#include "attention_loop.h"

TARGET_END
