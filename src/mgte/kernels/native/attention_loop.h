/* The walk over sequences, heads and blocks, common to both precisions; included once by each.
 *
 * Online softmax: scores of some queries and keys at a time, their running maximum and sum, and the output
 * accumulated in float32. A row's visible keys are one interval [lo, hi), which says window, causality and
 * the end of the sequence at once; blocks outside every interval are never touched, so that a
 * window costs time linear in the length.
 */
typedef void multiply_fn(const element *, ptrdiff_t, const element *, ptrdiff_t, float *, ptrdiff_t,
                         ptrdiff_t, int);

#define TILE(MR, NV)                                                                             \
    static void multiply_##MR##_##NV(const element *a, ptrdiff_t lda, const element *b,          \
                                     ptrdiff_t ldb, float *c, ptrdiff_t ldc, ptrdiff_t depth,    \
                                     int accumulate) {                                           \
        multiply(MR, NV, a, lda, b, ldb, c, ldc, depth, accumulate);                             \
    }
#define TILES(MR) TILE(MR, 1) TILE(MR, 2) TILE(MR, 3) TILE(MR, 4)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#define TILE_ROW(MR) {multiply_##MR##_1, multiply_##MR##_2, multiply_##MR##_3, multiply_##MR##_4}
static multiply_fn *const tiles[6][4] = {TILE_ROW(1), TILE_ROW(2), TILE_ROW(3),
                                         TILE_ROW(4), TILE_ROW(5), TILE_ROW(6)};

/* One block of queries on its way over the keys. `first` is the position of packed key 0. */
typedef struct {
    element *queries; /* [QUERY_BLOCK, dim] */
    float *scores;    /* [QUERY_BLOCK, KEY_STRETCH]; probabilities overwrite them */
    float *output;    /* [QUERY_BLOCK, dim] */
    float *sums;      /* [QUERY_BLOCK, 16] */
    float top[QUERY_BLOCK];
    ptrdiff_t lo[QUERY_BLOCK], hi[QUERY_BLOCK];
    ptrdiff_t count, dim;
} block_state;

ALWAYS_INLINE __mmask16 visible(ptrdiff_t lo, ptrdiff_t hi) {
    const __mmask16 below = lo <= 0 ? 0 : lanes(lo);
    return (hi <= 0 ? 0 : lanes(hi)) & (__mmask16)~below;
}

/* Scores of one row -> probabilities, with the row's running maximum, sum and output kept right. */
ALWAYS_INLINE void softmax_row(block_state *s, ptrdiff_t row, ptrdiff_t key, ptrdiff_t count,
                               float scale) {
    float *scores = s->scores + row * KEY_STRETCH;
    element *target = (element *)scores;
    const ptrdiff_t lo = s->lo[row] - key, hi = s->hi[row] - key;
    const int whole = lo <= 0 && hi >= round_up(count, 16);
    const __m512 lowest = _mm512_set1_ps(-1e30f), factor = _mm512_set1_ps(scale);
    __m512 largest = lowest;
    for (ptrdiff_t j = 0; j < count; j += 16) {
        const __mmask16 mask = whole ? (__mmask16)0xffff : visible(lo - j, hi - j);
        largest = _mm512_mask_max_ps(largest, mask, largest, _mm512_loadu_ps(scores + j));
    }
    const float peak = _mm512_reduce_max_ps(largest) * scale;
    if (peak > s->top[row]) {
        const __m512 shrink = exp2_degree5(_mm512_set1_ps(s->top[row] - peak));
        float *output = s->output + row * s->dim, *sum = s->sums + 16 * row;
        for (ptrdiff_t d = 0; d < s->dim; d += 16) {
            _mm512_storeu_ps(output + d, _mm512_mul_ps(shrink, _mm512_loadu_ps(output + d)));
        }
        _mm512_storeu_ps(sum, _mm512_mul_ps(shrink, _mm512_loadu_ps(sum)));
        s->top[row] = peak;
    }
    const __m512 top = _mm512_set1_ps(s->top[row]);
    __m512 sum = _mm512_loadu_ps(s->sums + 16 * row);
    for (ptrdiff_t j = 0; j < count; j += 16) {
        __m512 p = EXP2(_mm512_fmsub_ps(_mm512_loadu_ps(scores + j), factor, top));
        if (!whole) p = _mm512_maskz_mov_ps(visible(lo - j, hi - j), p);
        sum = _mm512_add_ps(sum, p);
        store_probabilities(target + j, p);
    }
    _mm512_storeu_ps(s->sums + 16 * row, sum);
}

static void step(block_state *s, const element *keys, const element *values, ptrdiff_t key,
                 ptrdiff_t count, float scale) {
    const ptrdiff_t dim = s->dim;
    const ptrdiff_t probability_stride = KEY_STRETCH * (ptrdiff_t)(sizeof(float) / sizeof(element));
    for (ptrdiff_t panel = 0; panel < count; panel += 64) {
        const ptrdiff_t left = count - panel;
        const int nv = left >= 64 ? 4 : (int)((left + 15) / 16);
        for (ptrdiff_t row = 0; row < s->count; row += 6) {
            const int mr = s->count - row < 6 ? (int)(s->count - row) : 6;
            tiles[mr - 1][nv - 1](s->queries + row * dim, dim, keys + panel * dim, 64,
                                  s->scores + row * KEY_STRETCH + panel, KEY_STRETCH, dim, 0);
        }
    }
    for (ptrdiff_t row = 0; row < s->count; row++) softmax_row(s, row, key, count, scale);
    for (ptrdiff_t d = 0; d < dim; d += 64) {
        const int nv = dim - d >= 64 ? 4 : (int)((dim - d) / 16);
        for (ptrdiff_t row = 0; row < s->count; row += 6) {
            const int mr = s->count - row < 6 ? (int)(s->count - row) : 6;
            tiles[mr - 1][nv - 1]((const element *)(s->scores + row * KEY_STRETCH),
                                  probability_stride, values + PAIR * d, dim,
                                  s->output + row * dim + d, dim, round_up(count, PAIR), 1);
        }
    }
}

/* Rows [begin, end) of the job, all of one sequence that starts at token `start`. */
static void attend_rows(const attend_job *job, block_state *s, ptrdiff_t head, ptrdiff_t begin,
                        ptrdiff_t end, ptrdiff_t start, ptrdiff_t length, const element *keys,
                        const element *values, ptrdiff_t first) {
    const ptrdiff_t dim = s->dim;
    ptrdiff_t from = length, to = 0;
    s->count = end - begin;
    for (ptrdiff_t i = 0; i < s->count; i++) {
        const ptrdiff_t at = token_of_row(job, begin + i) - start;
        const ptrdiff_t window = job->window < 0 ? length : (ptrdiff_t)job->window;
        s->lo[i] = at > window ? at - window : 0;
        s->hi[i] = at + window + 1 < length ? at + window + 1 : length;
        if (job->is_causal && s->hi[i] > at + 1) s->hi[i] = at + 1;
        from = s->lo[i] < from ? s->lo[i] : from;
        to = s->hi[i] > to ? s->hi[i] : to;
        s->top[i] = -1e30f;
        memcpy(s->queries + i * dim,
               (const element *)job->queries + (begin + i) * job->query_stride + head * dim,
               (size_t)dim * sizeof(element));
    }
    memset(s->output, 0, (size_t)(s->count * dim) * sizeof(float));
    memset(s->sums, 0, (size_t)(s->count * 16) * sizeof(float));
    ptrdiff_t count;
    for (ptrdiff_t key = from / 64 * 64; key < to; key += count) {
        count = to - key <= KEY_STRETCH ? to - key : KEY_BLOCK;
        step(s, keys + (key - first) * dim, values + (key - first) * dim, key, count, job->scale);
    }
    for (ptrdiff_t i = 0; i < s->count; i++) {
        const float sum = _mm512_reduce_add_ps(_mm512_loadu_ps(s->sums + 16 * i));
        const __m512 inverse = _mm512_set1_ps(1.0f / sum);
        element *to_row = (element *)job->output +
                          (begin - job->row_begin + i) * job->output_stride + head * dim;
        for (ptrdiff_t d = 0; d < dim; d += 16) {
            store_output(to_row + d, _mm512_mul_ps(inverse, _mm512_loadu_ps(s->output + i * dim + d)));
        }
    }
}

/* Pack keys [first, last) of one sequence and head. */
static void pack_range(const attend_job *job, ptrdiff_t head, ptrdiff_t start, ptrdiff_t first,
                       ptrdiff_t last, element *keys, element *values) {
    const element *key_rows =
        (const element *)job->keys + (start + first) * job->key_stride + head * job->head_dim;
    const element *value_rows =
        (const element *)job->values + (start + first) * job->value_stride + head * job->head_dim;
    pack_keys(key_rows, job->key_stride, last - first, job->head_dim, keys);
    pack_values(value_rows, job->value_stride, last - first, job->head_dim, values);
}

/* One run of rows of one sequence, all heads. `offset` is the sequence's place among packed keys. */
static void attend_run(const attend_job *job, block_state *s, element *room, ptrdiff_t begin,
                       ptrdiff_t end, ptrdiff_t start, ptrdiff_t length, ptrdiff_t offset,
                       ptrdiff_t total) {
    const ptrdiff_t group = job->num_heads / job->num_key_value_heads;
    ptrdiff_t low = length, high = 0;
    for (ptrdiff_t row = begin; row < end; row++) {
        const ptrdiff_t at = token_of_row(job, row) - start;
        low = at < low ? at : low;
        high = at > high ? at : high;
    }
    ptrdiff_t first = 0, last = length;
    if (job->window >= 0) {
        first = low > job->window ? (low - (ptrdiff_t)job->window) / 64 * 64 : 0;
        last = high + job->window + 1 < length ? high + (ptrdiff_t)job->window + 1 : length;
    }
    if (job->is_causal && last > high + 1) last = high + 1;
    for (ptrdiff_t head = 0; head < job->num_key_value_heads; head++) {
        const element *keys = room, *values = room + round_up(length, 64) * s->dim;
        if (job->packed_keys) {
            keys = (const element *)job->packed_keys + (head * total + offset) * s->dim;
            values = (const element *)job->packed_values + (head * total + offset) * s->dim;
            first = 0;
        } else {
            pack_range(job, head, start, first, last, room, room + round_up(length, 64) * s->dim);
        }
        for (ptrdiff_t member = head * group; member < (head + 1) * group; member++) {
            for (ptrdiff_t row = begin; row < end; row += QUERY_BLOCK) {
                const ptrdiff_t stop = row + QUERY_BLOCK < end ? row + QUERY_BLOCK : end;
                attend_rows(job, s, member, row, stop, start, length, keys, values, first);
            }
        }
    }
}

/* Bytes of scratch for sequences of up to `length` tokens. */
MGTE_EXPORT int64_t SCRATCH_NAME(int64_t length, int64_t dim) {
    const ptrdiff_t block = QUERY_BLOCK * (dim * (ptrdiff_t)(sizeof(element) + sizeof(float)) +
                                           (KEY_STRETCH + 16) * (ptrdiff_t)sizeof(float));
    return 2 * round_up(length, 64) * dim * (ptrdiff_t)sizeof(element) + block + 64;
}

MGTE_EXPORT void ATTEND_NAME(const attend_job *job) {
    block_state s;
    s.dim = job->head_dim;
    s.output = (float *)(((uintptr_t)job->scratch + 63) & ~(uintptr_t)63);
    s.scores = s.output + QUERY_BLOCK * s.dim;
    s.sums = s.scores + QUERY_BLOCK * KEY_STRETCH;
    s.queries = (element *)(s.sums + QUERY_BLOCK * 16);
    element *room = s.queries + QUERY_BLOCK * s.dim;
    ptrdiff_t total = 0;
    for (ptrdiff_t i = 0; i < job->num_seqs; i++) {
        total += round_up(job->cu_seqlens[i + 1] - job->cu_seqlens[i], 64);
    }
    ptrdiff_t seq = 0, offset = 0, row = job->row_begin;
    while (row < job->row_end) {
        const ptrdiff_t token = token_of_row(job, row);
        if (token < job->cu_seqlens[seq]) seq = offset = 0; /* rows need not ascend */
        while (token >= job->cu_seqlens[seq + 1]) {
            offset += round_up(job->cu_seqlens[seq + 1] - job->cu_seqlens[seq], 64);
            seq++;
        }
        const ptrdiff_t start = job->cu_seqlens[seq], stop = job->cu_seqlens[seq + 1];
        ptrdiff_t end = row + 1;
        while (end < job->row_end && token_of_row(job, end) >= start &&
               token_of_row(job, end) < stop) {
            end++;
        }
        attend_run(job, &s, room, row, end, start, stop - start, offset, total);
        row = end;
    }
}

/* Pack some key/value heads of the whole batch, for calls that share them between workers. */
MGTE_EXPORT void PACK_NAME(const attend_job *job, int64_t head_begin, int64_t head_end) {
    ptrdiff_t total = 0, offset = 0;
    for (ptrdiff_t i = 0; i < job->num_seqs; i++) {
        total += round_up(job->cu_seqlens[i + 1] - job->cu_seqlens[i], 64);
    }
    for (ptrdiff_t i = 0; i < job->num_seqs; i++) {
        const ptrdiff_t start = job->cu_seqlens[i], length = job->cu_seqlens[i + 1] - start;
        for (ptrdiff_t head = head_begin; head < head_end; head++) {
            const ptrdiff_t at = (head * total + offset) * job->head_dim;
            pack_range(job, head, start, 0, length, (element *)job->packed_keys + at,
                       (element *)job->packed_values + at);
        }
        offset += round_up(length, 64);
    }
}
