/* Residual sum and LayerNorm or RMSNorm in one pass over each row, statistics in float32.
 *
 * x = values * row_scale + bias + residual;  y = norm(x).
 * Post-norm keeps y as the residual stream, pre-norm keeps x: the caller says which by the pointers.
 */
#include "simd.h"

TARGET_AVX512_BF16

/* Mirrored by mgte.kernels.native_jobs.NormJob. Strides count elements. */
typedef struct {
    const void *values;
    const float *row_scale;  /* [rows] or NULL */
    const float *value_bias; /* [width] or NULL */
    const float *residual;   /* [rows, width] or NULL */
    float *sum;              /* receives x; NULL: not wanted; may be the residual */
    float *normed;           /* receives y in float32; NULL: not wanted; may be the residual */
    void *encoded;           /* receives y as input of the next product; NULL: not wanted */
    float *encoded_scale;    /* [rows]: scales of 8-bit rows */
    const float *weight;     /* [width]; NULL: no norm, y = x */
    const float *bias;       /* [width] or NULL */
    int64_t rows, width, value_stride, residual_stride, encoded_stride;
    int64_t value_kind, encoded_kind, is_rms;
    float epsilon;
} norm_job;

#define WIDEST 16384 /* the row buffer on the stack; the Python side refuses wider rows */

ALWAYS_INLINE __m512 gather(const norm_job *job, const void *values, const float *residual,
                            ptrdiff_t i, const int kind, __mmask16 mask, __m512 scale, float *row) {
    __m512 x = load_row(values, i, kind, mask);
    if (job->row_scale) x = _mm512_mul_ps(x, scale);
    if (job->value_bias) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, job->value_bias + i));
    if (residual) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, residual + i));
    _mm512_mask_storeu_ps(row + i, mask, x);
    return x;
}

/* x of one row into `row`; returns the sum of its elements. Four sums hide the adder's latency. */
ALWAYS_INLINE float gather_row(const norm_job *job, ptrdiff_t at_row, const int kind, float *row) {
    const void *values = row_at(job->values, at_row * job->value_stride, kind);
    const float *residual = job->residual ? job->residual + at_row * job->residual_stride : NULL;
    const __m512 scale = _mm512_set1_ps(job->row_scale ? job->row_scale[at_row] : 1.0f);
    __m512 total[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                       _mm512_setzero_ps()};
    ptrdiff_t i = 0;
    for (; i + 64 <= job->width; i += 64) {
        for (int j = 0; j < 4; j++) {
            total[j] = _mm512_add_ps(total[j], gather(job, values, residual, i + 16 * j, kind,
                                                      (__mmask16)0xffff, scale, row));
        }
    }
    for (; i < job->width; i += 16) {
        const __mmask16 mask = lanes(job->width - i);
        total[0] =
            _mm512_add_ps(total[0], gather(job, values, residual, i, kind, mask, scale, row));
    }
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(total[0], total[1]), _mm512_add_ps(total[2], total[3])));
}

ALWAYS_INLINE float spread_of(const float *row, ptrdiff_t width, float mean) {
    const __m512 center = _mm512_set1_ps(mean);
    __m512 total[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                       _mm512_setzero_ps()};
    ptrdiff_t i = 0;
    for (; i + 64 <= width; i += 64) {
        for (int j = 0; j < 4; j++) {
            const __m512 d = _mm512_sub_ps(_mm512_loadu_ps(row + i + 16 * j), center);
            total[j] = _mm512_fmadd_ps(d, d, total[j]);
        }
    }
    for (; i < width; i += 16) {
        const __mmask16 mask = lanes(width - i);
        const __m512 d = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, row + i), center);
        total[0] = _mm512_fmadd_ps(d, d, total[0]);
    }
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(total[0], total[1]), _mm512_add_ps(total[2], total[3])));
}

static void norm_row(const norm_job *job, ptrdiff_t at_row, float total, float *row) {
    const ptrdiff_t width = job->width;
    const float mean = job->is_rms ? 0.0f : total / (float)width;
    const float variance = spread_of(row, width, mean) / (float)width + job->epsilon;
    const __m512 inverse =
        _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_sqrt_ps(_mm512_set1_ps(variance)));
    const __m512 center = _mm512_set1_ps(mean);
    float *normed = job->normed ? job->normed + at_row * width : NULL;
    void *encoded = NULL;
    if (job->encoded) {
        encoded =
            (void *)row_at(job->encoded, at_row * job->encoded_stride, (int)job->encoded_kind);
    }
    __m512i largest = _mm512_setzero_si512();
    for (ptrdiff_t i = 0; i < width; i += 16) {
        const __mmask16 mask = lanes(width - i);
        __m512 x = _mm512_maskz_loadu_ps(mask, row + i);
        if (job->weight) {
            x = _mm512_mul_ps(_mm512_sub_ps(x, center), inverse);
            x = _mm512_mul_ps(x, _mm512_maskz_loadu_ps(mask, job->weight + i));
            if (job->bias) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(mask, job->bias + i));
        }
        if (normed) _mm512_mask_storeu_ps(normed + i, mask, x);
        if (!encoded) continue;
        if (job->encoded_kind == KIND_U8) {
            _mm512_mask_storeu_ps(row + i, mask, x);
            largest = larger(largest, x);
        } else {
            store_row(encoded, i, (int)job->encoded_kind, mask, x);
        }
    }
    if (encoded && job->encoded_kind == KIND_U8) {
        const float scale = scale_of_largest(largest);
        job->encoded_scale[at_row] = scale;
        encode_row((uint8_t *)encoded, row, width, scale);
    }
}

MGTE_EXPORT void mgte_norm(const norm_job *job) {
    float row[WIDEST];
    for (ptrdiff_t i = 0; i < job->rows; i++) {
        const float total = job->value_kind == KIND_F32 ? gather_row(job, i, KIND_F32, row)
                                                        : gather_row(job, i, KIND_BF16, row);
        if (job->sum) memcpy(job->sum + i * job->width, row, (size_t)job->width * sizeof(float));
        if (job->normed || job->encoded) norm_row(job, i, total, row);
    }
}

TARGET_END
