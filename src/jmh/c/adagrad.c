#include "update.h"

struct job {
    float *p, *g, *s;
    float rate, eps;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict s = j.s + from;
    for (size_t i = 0; i < n; i++) {
        float sum = s[i] + g[i] * g[i];
        float delta = j.rate * (g[i] / (sqrtf(sum) + j.eps));
        s[i] = sum;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, lr_decay, weight_decay, initial_accumulator_value, eps, t */
int adagrad(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], lr_decay = hyper[1], eps = hyper[4], t = hyper[5];
    const struct job j = {
        .p = p, .g = g, .s = slots[0],
        .rate = (float) (-(lr / ((t - 1) * lr_decay + 1))),
        .eps = (float) eps,
    };
    return run(update, &j, count, threads, NULL);
}
