/* What this processor can run; asked once by the loader before any kernel is called. */
#include "simd.h"

#if !defined(__x86_64__)
#error "these kernels are written for x86-64; other machines use the torch fallback"
#endif

/* Bit 0: the float32 and elementwise kernels. Bit 1: the bfloat16 attention kernel. */
MGTE_EXPORT int mgte_cpu_features(void) {
    int features = 0;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("fma")) {
        features |= 1;
        if (__builtin_cpu_supports("avx512bf16")) features |= 2;
    }
    return features;
}

/* Raised whenever an exported signature changes, so that a stale build is noticed and not called. */
MGTE_EXPORT int mgte_abi_version(void) { return 1; }
