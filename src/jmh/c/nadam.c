#include "update.h"

struct job {
    float *p, *g, *m, *v;
    float b1, c1, b2, c2, correction, eps, of_grad, of_mean;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict m = j.m + from, *restrict v = j.v + from;
    for (size_t i = 0; i < n; i++) {
        float mean = j.b1 * m[i] + j.c1 * g[i];
        float square = j.b2 * v[i] + j.c2 * (g[i] * g[i]);
        float root = sqrtf(square / j.correction) + j.eps;
        float delta = -((j.of_grad * g[i] + j.of_mean * mean) / root);
        m[i] = mean;
        v[i] = square;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, beta1, beta2, eps, weight_decay, momentum_decay, t */
int nadam(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3], decay = hyper[5], t = hyper[6];
    double *product = slots[2];
    const double mu = beta1 * (1 - 0.5 * pow(0.96, t * decay));
    const double next = beta1 * (1 - 0.5 * pow(0.96, (t + 1) * decay));
    *product *= mu;
    const struct job j = {
        .p = p, .g = g, .m = slots[0], .v = slots[1],
        .b1 = (float) beta1,
        .c1 = (float) (1 - beta1),
        .b2 = (float) beta2,
        .c2 = (float) (1 - beta2),
        .correction = (float) (1 - pow(beta2, t)),
        .eps = (float) eps,
        .of_grad = (float) (lr * (1 - mu) / (1 - *product)),
        .of_mean = (float) (lr * next / (1 - *product * next)),
    };
    return run(update, &j, count, threads, NULL);
}
