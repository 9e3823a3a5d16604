/* What the updates in this folder share. Each is the update that `./stepd explain NAME` prints, as a person would write it in C:
 * what generated code is measured against. The delta goes where the gradient was, the parameter moves by it.
 *
 * Every file exports one function, named as the optimizer (and the setting it is measured with):
 *
 *     int NAME(float *p, float *g, void **slots, long count, const double *hyper, int threads)
 *
 * slots: in the catalogue's order, those the configuration keeps; of what exists once, a double. hyper: the numbers in the
 * catalogue's order, then t. Returns 0, or what kept a thread from starting. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#define CHUNK (64 * 1024)
#define THREADS_MAX 64
#define SUMS 2
/* As many additions as a loop has under way at once: one after the other each would wait for the last. */
#define LANES 16

/* One pass over elements [from, from + n), and what it adds to the sums. */
typedef void pass(const void *job, size_t from, size_t n, double sums[SUMS]);

struct crew {
    pass *pass;
    const void *job;
    size_t count;
    atomic_size_t next;
    pthread_mutex_t lock;
    double sums[SUMS];
};

static void *work(void *argument) {
    struct crew *crew = argument;
    double sums[SUMS] = {0};
    for (;;) {
        size_t from = atomic_fetch_add(&crew->next, CHUNK);
        if (from >= crew->count) {
            break;
        }
        size_t n = crew->count - from < CHUNK ? crew->count - from : CHUNK;
        crew->pass(crew->job, from, n, sums);
    }
    pthread_mutex_lock(&crew->lock);
    for (int i = 0; i < SUMS; i++) {
        crew->sums[i] += sums[i];
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Threads take chunks as they are free, so that a busy core costs this no more than it costs the server. */
static int run(pass *pass, const void *job, long count, int threads, double sums[SUMS]) {
    struct crew crew = {.pass = pass, .job = job, .count = (size_t) count, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t helpers[THREADS_MAX];
    int started = 0, error = 0;
    while (started < threads - 1 && started < THREADS_MAX && error == 0) {
        error = pthread_create(&helpers[started], NULL, work, &crew);
        started += error == 0;
    }
    work(&crew);
    while (started > 0) {
        pthread_join(helpers[--started], NULL);
    }
    for (int i = 0; sums != NULL && i < SUMS; i++) {
        sums[i] = crew.sums[i];
    }
    return error;
}
