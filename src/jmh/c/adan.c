#include "update.h"

/* t > 1: the first step has no change of gradients. */

struct job {
    float *p, *g, *m, *d, *v, *before;
    float b1, c1, b2, c2, b3, c3, of_mean, of_change, root, eps;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict m = j.m + from;
    float *restrict d = j.d + from, *restrict v = j.v + from, *restrict before = j.before + from;
/* six arrays are more than GCC checks for overlap */
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) {
        float change = g[i] + before[i];
        float mean = j.b1 * m[i] + j.c1 * g[i];
        float mean_change = j.b2 * d[i] + j.c2 * change;
        float ahead = g[i] + j.b2 * change;
        float square = j.b3 * v[i] + j.c3 * (ahead * ahead);
        float delta = -((j.of_mean * mean + j.of_change * mean_change) / (sqrtf(square) / j.root + j.eps));
        before[i] = -g[i];
        m[i] = mean;
        d[i] = mean_change;
        v[i] = square;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, beta1, beta2, beta3, eps, weight_decay, max_grad_norm, t */
int adan(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2], beta3 = hyper[3], eps = hyper[4], t = hyper[7];
    const struct job j = {
        .p = p, .g = g, .m = slots[0], .d = slots[1], .v = slots[2], .before = slots[3],
        .b1 = (float) beta1,
        .c1 = (float) (1 - beta1),
        .b2 = (float) beta2,
        .c2 = (float) (1 - beta2),
        .b3 = (float) beta3,
        .c3 = (float) (1 - beta3),
        .of_mean = (float) (lr / (1 - pow(beta1, t))),
        .of_change = (float) (lr * beta2 / (1 - pow(beta2, t))),
        .root = (float) (sqrt(1 - pow(beta3, t))),
        .eps = (float) eps,
    };
    return run(update, &j, count, threads, NULL);
}
