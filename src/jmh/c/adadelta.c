#include "update.h"

struct job {
    float *p, *g, *v, *d;
    float lr, rho, rest, eps;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict v = j.v + from, *restrict d = j.d + from;
    for (size_t i = 0; i < n; i++) {
        float square = j.rho * v[i] + j.rest * (g[i] * g[i]);
        float step = sqrtf(d[i] + j.eps) / sqrtf(square + j.eps) * g[i];
        float delta = -j.lr * step;
        v[i] = square;
        d[i] = j.rho * d[i] + j.rest * (step * step);
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, rho, eps, weight_decay, t */
int adadelta(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], rho = hyper[1], eps = hyper[2];
    const struct job j = {
        .p = p, .g = g, .v = slots[0], .d = slots[1],
        .lr = (float) lr,
        .rho = (float) rho,
        .rest = (float) (1 - rho),
        .eps = (float) eps,
    };
    return run(update, &j, count, threads, NULL);
}
