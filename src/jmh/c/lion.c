#include "update.h"

struct job {
    float *p, *g, *m;
    float lr, b1, c1, b2, c2;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict m = j.m + from;
    for (size_t i = 0; i < n; i++) {
        float mixed = j.b1 * m[i] + j.c1 * g[i];
        float delta = -j.lr * (mixed > 0 ? 1 : mixed < 0 ? -1 : mixed);
        m[i] = j.b2 * m[i] + j.c2 * g[i];
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, beta1, beta2, weight_decay, t */
int lion(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2];
    const struct job j = {
        .p = p, .g = g, .m = slots[0],
        .lr = (float) lr,
        .b1 = (float) beta1,
        .c1 = (float) (1 - beta1),
        .b2 = (float) beta2,
        .c2 = (float) (1 - beta2),
    };
    return run(update, &j, count, threads, NULL);
}
