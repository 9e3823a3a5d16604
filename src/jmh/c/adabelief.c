#include "update.h"

/* Past the first steps, in which the variance is not tractable. */

struct job {
    float *p, *g, *m, *s;
    float rate, b1, c1, b2, c2, rectifier, eps;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict m = j.m + from, *restrict s = j.s + from;
    for (size_t i = 0; i < n; i++) {
        float mean = j.b1 * m[i] + j.c1 * g[i];
        float deviation = g[i] - mean;
        float variance = j.b2 * s[i] + j.c2 * (deviation * deviation) + j.eps;
        float delta = j.rate * (j.rectifier * mean / (sqrtf(variance) + j.eps));
        m[i] = mean;
        s[i] = variance;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, beta1, beta2, eps, weight_decay, t */
int adabelief(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3], t = hyper[5];
    const double limit = 2 / (1 - beta2) - 1, correction = 1 - pow(beta2, t);
    const double length = limit - 2 * t * pow(beta2, t) / correction;
    const double factor = sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length));
    const struct job j = {
        .p = p, .g = g, .m = slots[0], .s = slots[1],
        .rate = (float) -(lr / (1 - pow(beta1, t))),
        .b1 = (float) beta1,
        .c1 = (float) (1 - beta1),
        .b2 = (float) beta2,
        .c2 = (float) (1 - beta2),
        .rectifier = (float) (factor * sqrt(correction)),
        .eps = (float) eps,
    };
    return run(update, &j, count, threads, NULL);
}
