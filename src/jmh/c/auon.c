#include "update.h"

/* Three passes: the norm of the direction, the mean of its hyperbolic cosines, the update. The direction is computed anew
 * in each rather than kept. */

struct job {
    float *p, *g, *m;
    float mu, rest, scale, rate;
};

static inline float direction(const struct job *j, float mean, float g) {
    return j->mu * (j->mu * mean + j->rest * g) + j->rest * g;
}

static void squares(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    const float *restrict g = j.g + from, *restrict m = j.m + from;
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            double u = direction(&j, m[i + k], g[i + k]);
            lanes[k] += u * u;
        }
    }
    for (; i < n; i++) {
        double u = direction(&j, m[i], g[i]);
        sums[0] += u * u;
    }
    for (int k = 0; k < LANES; k++) {
        sums[0] += lanes[k];
    }
}

static void cosines(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    const float *restrict g = j.g + from, *restrict m = j.m + from;
    for (size_t i = 0; i < n; i++) {
        float c = coshf(j.scale * direction(&j, m[i], g[i]));
        sums[0] += (double) (c * c);
    }
}

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict m = j.m + from;
    for (size_t i = 0; i < n; i++) {
        float delta = j.rate * direction(&j, m[i], g[i]);
        m[i] = j.mu * m[i] + j.rest * g[i];
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, momentum, weight_decay, gamma, t */
int auon(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], momentum = hyper[1], gamma = hyper[3];
    struct job j = {.p = p, .g = g, .m = slots[0], .mu = (float) momentum, .rest = (float) (1 - momentum)};
    double sums[SUMS];
    int error = run(squares, &j, count, threads, sums);
    j.scale = (float) (gamma / (sqrt(sums[0]) + 1e-7));
    error |= run(cosines, &j, count, threads, sums);
    j.rate = (float) -(lr / (sqrt(sums[0] / count) + 1e-8));
    return error | run(update, &j, count, threads, NULL);
}
