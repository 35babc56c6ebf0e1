/* Activation of the MLP, gated or not, and the 8-bit encoding of rows. */
#include "simd.h"

TARGET_AVX512_BF16

enum { ACT_GELU = 0, ACT_GELU_TANH = 1, ACT_SILU = 2, ACT_RELU = 3 };

/* Mirrored by mgte.kernels.native_jobs.ActivateJob. Strides count elements. */
typedef struct {
    const void *values;     /* [rows, width], gated: [rows, 2 width], the activated half first */
    const float *row_scale; /* [rows] or NULL */
    const float *bias;      /* one per column of values, or NULL */
    void *target;           /* [rows, width] */
    float *target_scale;    /* [rows]: scales of 8-bit rows */
    float *room;            /* [width]: one row in float32, needed for 8-bit rows */
    int64_t rows, width, value_stride, target_stride;
    int64_t value_kind, target_kind, act, is_gated;
} activate_job;

/* x Phi(x); erf by a quintic in 1 / (1 + p |z|) times exp(-z^2), absolute error 1.5e-7.
 * Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26. */
ALWAYS_INLINE __m512 gelu(__m512 x) {
    const __m512 size = _mm512_abs_ps(x);
    const __m512 denominator =
        _mm512_fmadd_ps(size, _mm512_set1_ps(0.3275911f * 0.70710678f), _mm512_set1_ps(1.0f));
    __m512 t = _mm512_rcp14_ps(denominator);
    t = _mm512_mul_ps(t, _mm512_fnmadd_ps(denominator, t, _mm512_set1_ps(2.0f)));
    __m512 p = _mm512_set1_ps(0.5f * 1.061405429f);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f * -1.453152027f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f * 1.421413741f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f * -0.284496736f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f * 0.254829592f));
    p = _mm512_mul_ps(p, t);
    const __m512 power =
        _mm512_mul_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(-0.5f * 1.44269504f));
    const __m512 tail = _mm512_mul_ps(_mm512_mul_ps(p, exp2_degree5(power)), size);
    /* x Phi(x) = max(x, 0) - |x| Phi(-|x|), and `tail` is the second term; an infinite x has none */
    const __mmask16 finite =
        _mm512_cmp_ps_mask(size, _mm512_set1_ps(1e18f), _CMP_NGE_UQ);
    return _mm512_sub_ps(_mm512_max_ps(_mm512_setzero_ps(), x), _mm512_maskz_mov_ps(finite, tail));
}

/* The same to 1.3e-4 and twice as fast, where 16 or 8 bits are kept: Phi(x) = 1/2 + x P(x^2) on
 * [-4, 4] with P fitted so that Phi(4) = 1. */
ALWAYS_INLINE __m512 gelu_short(__m512 x) {
    const __m512 edge = _mm512_set1_ps(4.0f);
    /* operands in this order keep a NaN */
    const __m512 u = _mm512_max_ps(_mm512_set1_ps(-4.0f), _mm512_min_ps(edge, x));
    const __m512 z = _mm512_mul_ps(u, u);
    __m512 p = _mm512_set1_ps(-4.70035037e-10f);
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(5.25676917e-08f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(-2.36255676e-06f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(5.80994181e-05f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(-8.87921592e-04f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(9.05968614e-03f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(-6.51006528e-02f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(3.98209033e-01f));
    return _mm512_mul_ps(x, _mm512_fmadd_ps(u, p, _mm512_set1_ps(0.5f)));
}

ALWAYS_INLINE __m512 times_sigmoid(__m512 x, __m512 z) {
    const __m512 power = exp2_degree5(_mm512_mul_ps(z, _mm512_set1_ps(-1.44269504f)));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), power));
}

ALWAYS_INLINE __m512 activate(__m512 x, const int act, const int to) {
    if (act == ACT_GELU) return to == KIND_F32 ? gelu(x) : gelu_short(x);
    if (act == ACT_SILU) return times_sigmoid(x, x);
    if (act == ACT_RELU) return _mm512_max_ps(_mm512_setzero_ps(), x);
    const __m512 cube = _mm512_mul_ps(_mm512_mul_ps(x, x), x);
    const __m512 inner = _mm512_fmadd_ps(cube, _mm512_set1_ps(0.044715f), x);
    return times_sigmoid(x, _mm512_mul_ps(inner, _mm512_set1_ps(2.0f * 0.79788456f)));
}

ALWAYS_INLINE __m512 load_value(const activate_job *job, const void *row, ptrdiff_t at, int kind,
                                __mmask16 mask, __m512 scale) {
    __m512 x = load_row(row, at, kind, mask);
    if (job->row_scale) x = _mm512_mul_ps(x, scale);
    if (job->bias) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, job->bias + at));
    return x;
}

ALWAYS_INLINE void activate_row(const activate_job *job, ptrdiff_t at_row, const int kind,
                                const int act, const int to, const int is_gated) {
    const void *row = row_at(job->values, at_row * job->value_stride, kind);
    void *target = (void *)row_at(job->target, at_row * job->target_stride, to);
    const __m512 scale = _mm512_set1_ps(job->row_scale ? job->row_scale[at_row] : 1.0f);
    __m512i largest = _mm512_setzero_si512();
    for (ptrdiff_t i = 0; i < job->width; i += 16) {
        const __mmask16 mask = lanes(job->width - i);
        __m512 x = activate(load_value(job, row, i, kind, mask, scale), act, to);
        if (is_gated) {
            x = _mm512_mul_ps(x, load_value(job, row, job->width + i, kind, mask, scale));
        }
        if (to == KIND_U8) {
            _mm512_mask_storeu_ps(job->room + i, mask, x);
            largest = larger(largest, x);
        } else {
            store_row(target, i, to, mask, x);
        }
    }
    if (to == KIND_U8) {
        job->target_scale[at_row] = scale_of_largest(largest);
        encode_row((uint8_t *)target, job->room, job->width, job->target_scale[at_row]);
    }
}

/* One copy of the loop per case, so that nothing is decided per element. */
#define ACTIVATE_ROWS(KIND, ACT, TO, GATED)                                                      \
    for (ptrdiff_t row = 0; row < job->rows; row++) activate_row(job, row, KIND, ACT, TO, GATED)

#define ACTIVATE_GATED(KIND, ACT, TO)                                                            \
    if (job->is_gated) {                                                                         \
        ACTIVATE_ROWS(KIND, ACT, TO, 1);                                                         \
    } else {                                                                                     \
        ACTIVATE_ROWS(KIND, ACT, TO, 0);                                                         \
    }                                                                                            \
    return

#define ACTIVATE_TO(KIND, ACT)                                                                   \
    switch (job->target_kind) {                                                                  \
        case KIND_F32: ACTIVATE_GATED(KIND, ACT, KIND_F32);                                      \
        case KIND_BF16: ACTIVATE_GATED(KIND, ACT, KIND_BF16);                                    \
        default: ACTIVATE_GATED(KIND, ACT, KIND_U8);                                             \
    }

static void activate_gelu(const activate_job *job) {
    if (job->value_kind == KIND_F32) {
        ACTIVATE_TO(KIND_F32, ACT_GELU)
    }
    ACTIVATE_TO(KIND_BF16, ACT_GELU)
}

static void activate_silu(const activate_job *job) {
    if (job->value_kind == KIND_F32) {
        ACTIVATE_TO(KIND_F32, ACT_SILU)
    }
    ACTIVATE_TO(KIND_BF16, ACT_SILU)
}

MGTE_EXPORT void mgte_activate(const activate_job *job) {
    if (job->act == ACT_GELU) {
        activate_gelu(job);
    } else if (job->act == ACT_SILU) {
        activate_silu(job);
    } else {
        ACTIVATE_ROWS((int)job->value_kind, (int)job->act, (int)job->target_kind,
                      (int)job->is_gated);
    }
}

/* Rows -> 8-bit codes around 128 and one scale per row. */
MGTE_EXPORT void mgte_encode_u8(const void *values, int64_t kind, int64_t stride, int64_t rows,
                                int64_t width, uint8_t *codes, float *scales) {
    for (ptrdiff_t r = 0; r < rows; r++) {
        const void *row = row_at(values, r * stride, (int)kind);
        __m512i largest = _mm512_setzero_si512();
        for (ptrdiff_t i = 0; i < width; i += 16) {
            const __mmask16 mask = lanes(width - i);
            largest = larger(largest, load_row(row, i, (int)kind, mask));
        }
        scales[r] = scale_of_largest(largest);
        const __m512 inverse = _mm512_set1_ps(1.0f / scales[r]);
        for (ptrdiff_t i = 0; i < width; i += 16) {
            const __mmask16 mask = lanes(width - i);
            store_codes(codes + r * width + i, mask, load_row(row, i, (int)kind, mask), inverse);
        }
    }
}

TARGET_END
