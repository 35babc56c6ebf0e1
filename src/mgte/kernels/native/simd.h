/* Vector building blocks shared by all kernels.
 *
 * Every file compiles without -m flags: the pragma below raises the target of the functions that
 * follow, and the Python loader asks mgte_cpu_features() before it calls any of them.
 */
#ifndef MGTE_SIMD_H
#define MGTE_SIMD_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MGTE_EXPORT __attribute__((visibility("default")))
#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define TARGET_AVX512                                                                            \
    _Pragma("clang attribute push(__attribute__((target(\"avx512f,avx512bw,avx512vl,"           \
            "avx512dq,fma\"))), apply_to = function)")
#define TARGET_AVX512_BF16                                                                       \
    _Pragma("clang attribute push(__attribute__((target(\"avx512f,avx512bw,avx512vl,"           \
            "avx512dq,avx512bf16,fma\"))), apply_to = function)")
#define TARGET_END _Pragma("clang attribute pop")
#else
#define TARGET_AVX512                                                                            \
    _Pragma("GCC push_options") _Pragma("GCC target(\"avx512f,avx512bw,avx512vl,avx512dq,fma\")")
#define TARGET_AVX512_BF16                                                                       \
    _Pragma("GCC push_options")                                                                  \
        _Pragma("GCC target(\"avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma\")")
#define TARGET_END _Pragma("GCC pop_options")
#endif

/* Element kinds; the numbers are those of mgte.kernels.native_jobs. */
enum { KIND_F32 = 0, KIND_BF16 = 1, KIND_U8 = 2 };

TARGET_AVX512

ALWAYS_INLINE __mmask16 lanes(ptrdiff_t count) {
    return count >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << count) - 1u);
}

ALWAYS_INLINE __m512 widen_bf16(__m256i bits) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

ALWAYS_INLINE __m512 load_row(const void *row, ptrdiff_t at, int kind, __mmask16 mask) {
    if (kind == KIND_F32) return _mm512_maskz_loadu_ps(mask, (const float *)row + at);
    return widen_bf16(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)row + at));
}

ALWAYS_INLINE const void *row_at(const void *first, ptrdiff_t elements, int kind) {
    return (const char *)first + elements * (kind == KIND_F32 ? 4 : kind == KIND_BF16 ? 2 : 1);
}

/* 2^x for x <= 0 or so: degree 5 is 1e-7 (float32), degree 3 is 1e-4 (enough for bf16). */
ALWAYS_INLINE __m512 exp2_degree5(__m512 x) {
    const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 f = _mm512_sub_ps(x, n);
    __m512 p = _mm512_set1_ps(1.327647178e-03f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.675541333e-03f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.550713274e-02f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.402211972e-01f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931469671e-01f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.000000072e+00f));
    return _mm512_scalef_ps(p, n);
}

ALWAYS_INLINE __m512 exp2_degree3(__m512 x) {
    const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 f = _mm512_sub_ps(x, n);
    __m512 p = _mm512_set1_ps(5.517166722e-02f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.426111221e-01f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.932609858e-01f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.999280736e-01f));
    return _mm512_scalef_ps(p, n);
}

/* Running largest magnitude, compared as integers: order is the same and NaN wins over all. */
ALWAYS_INLINE __m512i larger(__m512i largest, __m512 x) {
    return _mm512_max_epu32(largest, _mm512_castps_si512(_mm512_abs_ps(x)));
}

/* Largest magnitude of a row -> the scale of its 8-bit codes; an all-zero row keeps scale 1. */
ALWAYS_INLINE float scale_of_largest(__m512i largest) {
    const uint32_t bits = _mm512_reduce_max_epu32(largest);
    float top;
    memcpy(&top, &bits, sizeof top);
    return bits ? top / 127.0f : 1.0f;
}

ALWAYS_INLINE void store_codes(uint8_t *codes, __mmask16 mask, __m512 x, __m512 inverse) {
    const __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(x, inverse)),
                                       _mm512_set1_epi32(128));
    _mm512_mask_cvtusepi32_storeu_epi8(codes, mask, _mm512_max_epi32(q, _mm512_setzero_si512()));
}

ALWAYS_INLINE void encode_row(uint8_t *codes, const float *row, ptrdiff_t width, float scale) {
    const __m512 inverse = _mm512_set1_ps(1.0f / scale);
    for (ptrdiff_t i = 0; i < width; i += 16) {
        const __mmask16 mask = lanes(width - i);
        store_codes(codes + i, mask, _mm512_maskz_loadu_ps(mask, row + i), inverse);
    }
}

/* Transpose a 16 x 16 square of 32-bit words in place. */
ALWAYS_INLINE void transpose16(__m512i *r) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

TARGET_END

TARGET_AVX512_BF16

/* Needs avx512_bf16: the Python side asks for 16-bit targets only where the processor has it. */
ALWAYS_INLINE __m256i narrow_bf16(__m512 x) { return (__m256i)_mm512_cvtneps_pbh(x); }

ALWAYS_INLINE void store_row(void *row, ptrdiff_t at, int kind, __mmask16 mask, __m512 x) {
    if (kind == KIND_F32) {
        _mm512_mask_storeu_ps((float *)row + at, mask, x);
    } else {
        _mm256_mask_storeu_epi16((uint16_t *)row + at, mask, narrow_bf16(x));
    }
}

TARGET_END

#endif
