/* What one attention call is asked to do; mirrored by mgte.kernels.native_jobs.AttendJob. */
#ifndef MGTE_ATTENTION_JOB_H
#define MGTE_ATTENTION_JOB_H

#include "simd.h"

/* Strides count elements. Row r of the queries is token rows[r], or token r where rows is NULL.
 * The call computes rows [row_begin, row_end) and writes them from output row 0 on. */
typedef struct {
    const void *queries, *keys, *values;
    void *output;
    void *packed_keys, *packed_values; /* of the whole batch, or NULL: packed on the way */
    void *scratch;
    const int32_t *cu_seqlens;
    const int64_t *rows;
    int64_t num_seqs, row_begin, row_end;
    int64_t query_stride, key_stride, value_stride, output_stride;
    int64_t num_heads, num_key_value_heads, head_dim;
    int64_t window; /* -1: the whole sequence */
    int64_t is_causal;
    float scale; /* of the scores, times log2(e): the softmax works with powers of two */
} attend_job;

#define QUERY_BLOCK 48 /* rows of queries that share one walk over the keys; a multiple of 6 */
#define KEY_BLOCK 128  /* keys per step; a multiple of 64 */
#define KEY_STRETCH 192 /* a walk that would end in a short step takes up to this many at once */

ALWAYS_INLINE ptrdiff_t round_up(ptrdiff_t value, ptrdiff_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

ALWAYS_INLINE ptrdiff_t token_of_row(const attend_job *job, ptrdiff_t row) {
    return job->rows ? (ptrdiff_t)job->rows[row] : row;
}

#endif
