/* Rotary positions on the q and k heads of freshly projected rows; the other columns are copied.
 *
 * Where the projection ran in 8 bits, its rows still lack their scale and bias: both are applied on
 * the way, so that no extra pass over memory is needed.
 */
#include "simd.h"

TARGET_AVX512_BF16

/* Mirrored by mgte.kernels.native_jobs.RotateJob. Strides count elements. */
typedef struct {
    const void *source;
    void *target;          /* may be the source */
    const float *row_scale; /* [rows] or NULL */
    const float *bias;      /* [columns] or NULL */
    const float *cosines, *sines; /* [positions, head_dim / 2]; NULL: no rotation */
    const int64_t *positions;     /* [rows] */
    const float *query_scale;     /* [rows] or NULL: multiplies the first num_scaled_heads */
    int64_t rows, columns, source_stride, target_stride;
    int64_t num_rotated_heads, num_scaled_heads, head_dim, kind;
} rotate_job;

ALWAYS_INLINE __m512 load_scaled(const void *row, ptrdiff_t at, int kind, __mmask16 mask,
                                 __m512 scale, const float *bias) {
    const __m512 x = load_row(row, at, kind, mask);
    if (!bias) return _mm512_mul_ps(x, scale);
    return _mm512_fmadd_ps(x, scale, _mm512_maskz_loadu_ps(mask, bias + at));
}

ALWAYS_INLINE void rotate_row(const rotate_job *job, ptrdiff_t row, const int kind) {
    const void *source = row_at(job->source, row * job->source_stride, kind);
    void *target = (void *)row_at(job->target, row * job->target_stride, kind);
    const float plain = job->row_scale ? job->row_scale[row] : 1.0f;
    const __m512 scale = _mm512_set1_ps(plain);
    const float query_factor = job->query_scale ? job->query_scale[row] : 1.0f;
    const ptrdiff_t half = job->head_dim / 2;
    const ptrdiff_t rotated = job->cosines ? job->num_rotated_heads : 0;
    if (rotated) {
        const float *cosines = job->cosines + job->positions[row] * half;
        const float *sines = job->sines + job->positions[row] * half;
        for (ptrdiff_t i = 0; i < half; i += 16) {
            const __mmask16 mask = lanes(half - i);
            const __m512 c = _mm512_maskz_loadu_ps(mask, cosines + i);
            const __m512 s = _mm512_maskz_loadu_ps(mask, sines + i);
            for (ptrdiff_t head = 0; head < rotated; head++) {
                const ptrdiff_t at = head * job->head_dim + i;
                const __m512 x = load_scaled(source, at, kind, mask, scale, job->bias);
                const __m512 y = load_scaled(source, at + half, kind, mask, scale, job->bias);
                __m512 first = _mm512_fmsub_ps(x, c, _mm512_mul_ps(y, s));
                __m512 second = _mm512_fmadd_ps(y, c, _mm512_mul_ps(x, s));
                if (job->query_scale && head < job->num_scaled_heads) {
                    first = _mm512_mul_ps(first, _mm512_set1_ps(query_factor));
                    second = _mm512_mul_ps(second, _mm512_set1_ps(query_factor));
                }
                store_row(target, at, kind, mask, first);
                store_row(target, at + half, kind, mask, second);
            }
        }
    }
    const int is_copy = !job->row_scale && !job->bias;
    ptrdiff_t at = rotated * job->head_dim;
    if (!rotated && job->query_scale) {
        const __m512 factor = _mm512_set1_ps(query_factor);
        const ptrdiff_t end = job->num_scaled_heads * job->head_dim;
        for (; at < end; at += 16) {
            const __mmask16 mask = lanes(end - at);
            const __m512 x = load_scaled(source, at, kind, mask, scale, job->bias);
            store_row(target, at, kind, mask, _mm512_mul_ps(x, factor));
        }
        at = end;
    }
    if (is_copy && source == target) return;
    for (; at < job->columns; at += 16) {
        const __mmask16 mask = lanes(job->columns - at);
        store_row(target, at, kind, mask, load_scaled(source, at, kind, mask, scale, job->bias));
    }
}

MGTE_EXPORT void mgte_rotate(const rotate_job *job) {
    for (ptrdiff_t row = 0; row < job->rows; row++) {
        if (job->kind == KIND_F32) {
            rotate_row(job, row, KIND_F32);
        } else {
            rotate_row(job, row, KIND_BF16);
        }
    }
}

TARGET_END
