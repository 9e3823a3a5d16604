/* The update that `./stepd explain adamw` prints, as a person would write it in C: what generated code is measured
 * against. The delta goes where the gradient was, the parameter moves by it. Threads take chunks as they are free, so that a
 * busy core costs this loop no more than it costs the server. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#define CHUNK (64 * 1024)
#define THREADS_MAX 64

struct job {
    float *p, *m, *v, *g;
    size_t count;
    float rate, b1, c1, b2, c2, root, eps, decay;
    atomic_size_t next;
};

static void update(const struct job *j, float *restrict p, float *restrict m, float *restrict v, float *restrict g, size_t n) {
    const float rate = j->rate, b1 = j->b1, c1 = j->c1, b2 = j->b2, c2 = j->c2;
    const float root = j->root, eps = j->eps, decay = j->decay;
    for (size_t i = 0; i < n; i++) {
        float mean = b1 * m[i] + c1 * g[i];
        float square = b2 * v[i] + c2 * (g[i] * g[i]);
        float delta = rate * (mean / (sqrtf(square) / root + eps)) - decay * p[i];
        m[i] = mean;
        v[i] = square;
        g[i] = delta;
        p[i] += delta;
    }
}

static void *work(void *argument) {
    struct job *j = argument;
    for (;;) {
        size_t from = atomic_fetch_add(&j->next, CHUNK);
        if (from >= j->count) {
            return NULL;
        }
        size_t n = j->count - from < CHUNK ? j->count - from : CHUNK;
        update(j, j->p + from, j->m + from, j->v + from, j->g + from, n);
    }
}

/* hyper: lr, beta1, beta2, eps, weight_decay, t. Returns 0, or what kept a thread from starting. */
int adamw(float *p, float *m, float *v, float *g, long count, const double *hyper, int threads) {
    double lr = hyper[0], beta1 = hyper[1], beta2 = hyper[2], t = hyper[5];
    struct job j = {
        .p = p, .m = m, .v = v, .g = g, .count = (size_t) count,
        .rate = (float) -(lr / (1 - pow(beta1, t))),
        .b1 = (float) beta1, .c1 = (float) (1 - beta1),
        .b2 = (float) beta2, .c2 = (float) (1 - beta2),
        .root = (float) sqrt(1 - pow(beta2, t)),
        .eps = (float) hyper[3], .decay = (float) (lr * hyper[4]),
    };
    pthread_t helpers[THREADS_MAX];
    int started = 0, error = 0;
    while (started < threads - 1 && started < THREADS_MAX && error == 0) {
        error = pthread_create(&helpers[started], NULL, work, &j);
        started += error == 0;
    }
    work(&j);
    while (started > 0) {
        pthread_join(helpers[--started], NULL);
    }
    return error;
}
