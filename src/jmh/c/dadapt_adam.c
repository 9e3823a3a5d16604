#include "update.h"

/* Two passes: what the estimate of the distance is made of, then the update, which is left out while the sum is zero. */

struct job {
    float *p, *g, *m, *v, *s;
    float b1, of_mean, b2, c2, keep, of_sum, eps;
};

static inline float weighted(const struct job *j, float s, float g) {
    return j->keep * s + j->of_sum * g;
}

static void estimate(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    const float *restrict g = j.g + from, *restrict v = j.v + from, *restrict s = j.s + from;
    double size[LANES] = {0}, agreement[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            size[k] += fabsf(weighted(&j, s[i + k], g[i + k]));
            agreement[k] += (double) g[i + k] * (s[i + k] / (sqrtf(v[i + k]) + j.eps));
        }
    }
    for (; i < n; i++) {
        sums[0] += fabsf(weighted(&j, s[i], g[i]));
        sums[1] += (double) g[i] * (s[i] / (sqrtf(v[i]) + j.eps));
    }
    for (int k = 0; k < LANES; k++) {
        sums[0] += size[k];
        sums[1] += agreement[k];
    }
}

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict m = j.m + from;
    float *restrict v = j.v + from, *restrict s = j.s + from;
    for (size_t i = 0; i < n; i++) {
        float mean = j.b1 * m[i] + j.of_mean * g[i];
        float square = j.b2 * v[i] + j.c2 * (g[i] * g[i]);
        float delta = -(mean / (sqrtf(square) + j.eps));
        m[i] = mean;
        v[i] = square;
        s[i] = weighted(&j, s[i], g[i]);
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, beta1, beta2, eps, weight_decay, d0, growth_rate, t; growth_rate 0 and gradients that are not all zero */
int dadapt_adam(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2], eps = hyper[3];
    double *d = slots[3], *numerator = slots[4];
    const double keep = sqrt(beta2), rate = *d * lr;
    struct job j = {
        .p = p, .g = g, .m = slots[0], .v = slots[1], .s = slots[2],
        .b1 = (float) beta1,
        .of_mean = (float) (rate * (1 - beta1)),
        .b2 = (float) beta2,
        .c2 = (float) (1 - beta2),
        .keep = (float) keep,
        .of_sum = (float) (rate * (1 - keep)),
        .eps = (float) eps,
    };
    double sums[SUMS];
    int error = run(estimate, &j, count, threads, sums);
    *numerator = keep * *numerator + (1 - keep) * rate * sums[1];
    *d = fmax(*d, *numerator / ((1 - keep) * sums[0]));
    return error | run(update, &j, count, threads, NULL);
}
