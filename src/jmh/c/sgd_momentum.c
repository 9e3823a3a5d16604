#include "update.h"

struct job {
    float *p, *g, *b;
    float mu, lr;
};

static void update(const void *job, size_t from, size_t n, double sums[SUMS]) {
    const struct job j = *(const struct job *) job;
    float *restrict p = j.p + from, *restrict g = j.g + from, *restrict b = j.b + from;
    for (size_t i = 0; i < n; i++) {
        float buffer = j.mu * b[i] + g[i];
        float delta = -j.lr * buffer;
        b[i] = buffer;
        g[i] = delta;
        p[i] += delta;
    }
}

/* hyper: lr, momentum, dampening, weight_decay, t */
int sgd_momentum(float *p, float *g, void **slots, long count, const double *hyper, int threads) {
    const double lr = hyper[0], momentum = hyper[1];
    const struct job j = {
        .p = p, .g = g, .b = slots[0],
        .mu = (float) momentum,
        .lr = (float) lr,
    };
    return run(update, &j, count, threads, NULL);
}
