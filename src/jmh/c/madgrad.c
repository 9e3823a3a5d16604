#include "update.h"

struct job {
    float *p, *g, *q, *s, *x0;
    float rate, eps, way;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict q = j.q + from;
    float *restrict s = j.s + from, *restrict x0 = j.x0 + from;
    for (size_t i = 0; i < n; i++) {
        float squares = q[i] + j.rate * (g[i] * g[i]);
        float root = cbrtf(squares) + j.eps;
        float sum = s[i] + j.rate * g[i];
        float delta = j.way * (x0[i] - (root > 0 ? sum / root : 0) - p[i]);
        q[i] = squares;
        s[i] = sum;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, momentum, weight_decay, eps, t */
int madgrad(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], momentum = hyper[1], eps = hyper[3], t = hyper[4];
    const struct job j = {
        .p = p, .g = g, .q = slots[0], .s = slots[1], .x0 = slots[2],
        .rate = (float) ((lr > 0 ? lr + eps : lr) * sqrt(t)),
        .eps = (float) eps,
        .way = (float) (1 - momentum),
    };
    return run(update, &j, count, threads, NULL);
}
