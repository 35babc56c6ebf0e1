/* Packed attention in float32: keys transposed and values copied once per (sequence, head). */
#include "attention_job.h"

TARGET_AVX512

typedef float element;

#define ATTEND_NAME mgte_attend_f32
#define PACK_NAME mgte_pack_keys_values_f32
#define SCRATCH_NAME mgte_attend_scratch_f32
#define PAIR 1
#define EXP2 exp2_degree5

/* C[mr, 16 nv] (+)= A[mr, depth] * B[depth, 16 nv], all accumulators in registers. */
ALWAYS_INLINE void multiply(const int mr, const int nv, const float *a, ptrdiff_t lda,
                            const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc,
                            ptrdiff_t depth, int accumulate) {
    __m512 sum[6][4];
#pragma GCC unroll 6
    for (int i = 0; i < mr; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++) {
            sum[i][j] = accumulate ? _mm512_loadu_ps(c + i * ldc + 16 * j) : _mm512_setzero_ps();
        }
    }
    for (ptrdiff_t k = 0; k < depth; k++) {
        __m512 right[4];
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++) right[j] = _mm512_loadu_ps(b + k * ldb + 16 * j);
#pragma GCC unroll 6
        for (int i = 0; i < mr; i++) {
            const __m512 left = _mm512_set1_ps(a[i * lda + k]);
#pragma GCC unroll 4
            for (int j = 0; j < nv; j++) sum[i][j] = _mm512_fmadd_ps(left, right[j], sum[i][j]);
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < mr; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++) _mm512_storeu_ps(c + i * ldc + 16 * j, sum[i][j]);
    }
}

/* Keys [length, dim] -> panels of 64 keys, each [dim, 64]; keys beyond the end are zero. */
static void pack_keys(const float *keys, ptrdiff_t ld, ptrdiff_t length, ptrdiff_t dim,
                      float *panels) {
    for (ptrdiff_t first = 0; first < length; first += 16) {
        float *target = panels + (first / 64) * 64 * dim + first % 64;
        const ptrdiff_t count = length - first < 16 ? length - first : 16;
        for (ptrdiff_t d = 0; d < dim; d += 16) {
            __m512i rows[16];
            for (int i = 0; i < 16; i++) {
                rows[i] = i < count ? _mm512_loadu_si512(keys + (first + i) * ld + d)
                                    : _mm512_setzero_si512();
            }
            transpose16(rows);
            for (int i = 0; i < 16; i++) _mm512_storeu_si512(target + (d + i) * 64, rows[i]);
        }
    }
}

/* Values [length, dim] -> the same, contiguous. */
static void pack_values(const float *values, ptrdiff_t ld, ptrdiff_t length, ptrdiff_t dim,
                        float *packed) {
    for (ptrdiff_t i = 0; i < length; i++) {
        memcpy(packed + i * dim, values + i * ld, (size_t)dim * sizeof(float));
    }
}

ALWAYS_INLINE void store_output(element *to, __m512 x) { _mm512_storeu_ps(to, x); }

ALWAYS_INLINE void store_probabilities(element *to, __m512 x) { _mm512_storeu_ps(to, x); }

#include "attention_loop.h"

TARGET_END
