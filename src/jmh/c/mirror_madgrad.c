#include "update.h"

struct job {
    float *p, *g, *q, *z;
    float rate, fade, eps, way;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict q = j.q + from, *restrict z = j.z + from;
    for (size_t i = 0; i < n; i++) {
        float squares = q[i] * j.fade + g[i] * g[i];
        float root = cbrtf(squares) + j.eps;
        float mirrored = z[i] - j.rate * (root > 0 ? g[i] / root : 0);
        float delta = j.way * (mirrored - p[i]);
        q[i] = squares;
        z[i] = mirrored;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, momentum, weight_decay, eps, t */
int mirror_madgrad(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], momentum = hyper[1], eps = hyper[3], t = hyper[4];
    const struct job j = {
        .p = p, .g = g, .q = slots[0], .z = slots[1],
        .rate = (float) ((lr > 0 ? lr + eps : lr) * cbrt(t)),
        .fade = (float) (sqrt((t - 1) / t)),
        .eps = (float) eps,
        .way = (float) (1 - momentum),
    };
    return run(update, &j, count, threads, NULL);
}
