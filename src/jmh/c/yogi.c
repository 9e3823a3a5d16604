#include "update.h"

struct job {
    float *p, *g, *m, *v;
    float rate, b1, c1, c2, correction, eps;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict m = j.m + from, *restrict v = j.v + from;
    for (size_t i = 0; i < n; i++) {
        float mean = j.b1 * m[i] + j.c1 * g[i];
        float own = g[i] * g[i], difference = v[i] - own;
        float sign = difference > 0 ? 1 : difference < 0 ? -1 : difference;
        float square = v[i] - j.c2 * sign * own;
        float delta = j.rate * (mean / (sqrtf(square / j.correction) + j.eps));
        m[i] = mean;
        v[i] = square;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, beta1, beta2, eps, initial_accumulator, initial_accumulator_m, t */
int yogi(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3], t = hyper[6];
    const struct job j = {
        .p = p, .g = g, .m = slots[0], .v = slots[1],
        .rate = (float) (-(lr / (1 - pow(beta1, t)))),
        .b1 = (float) beta1,
        .c1 = (float) (1 - beta1),
        .c2 = (float) (1 - beta2),
        .correction = (float) (1 - pow(beta2, t)),
        .eps = (float) eps,
    };
    return run(update, &j, count, threads, NULL);
}
