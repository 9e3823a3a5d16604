#include "update.h"

struct job {
    float *p, *g, *m, *v, *x;
    float rate, b1, c1, b2, c2, eps, power;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict m = j.m + from;
    float *restrict v = j.v + from, *restrict x = j.x + from;
    for (size_t i = 0; i < n; i++) {
        float mean = j.b1 * m[i] + j.c1 * g[i];
        float square = j.b2 * v[i] + j.c2 * (g[i] * g[i]);
        float largest = square > x[i] ? square : x[i];
        float delta = j.rate * (mean / powf(sqrtf(largest) + j.eps, j.power));
        m[i] = mean;
        v[i] = square;
        x[i] = largest;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, beta1, beta2, eps, weight_decay, partial, t */
int padam(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3], partial = hyper[5], t = hyper[6];
    const struct job j = {
        .p = p, .g = g, .m = slots[0], .v = slots[1], .x = slots[2],
        .rate = (float) (-(lr * sqrt(1 - pow(beta2, t)) / (1 - pow(beta1, t)))),
        .b1 = (float) beta1,
        .c1 = (float) (1 - beta1),
        .b2 = (float) beta2,
        .c2 = (float) (1 - beta2),
        .eps = (float) eps,
        .power = (float) (2 * partial),
    };
    return run(update, &j, count, threads, NULL);
}
