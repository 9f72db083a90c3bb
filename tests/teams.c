/* Threads of C code, for tests/test_fork_safety.py: a team of OpenMP's, and one that only waits. */
#include <pthread.h>
#include <unistd.h>

double total(long count)
{
    double sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(2)
    for (long i = 0; i < count; i++)
        sum += 0.5 * i;
    return sum;
}

static void *wait_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static void *work_for_ever(void *unused)
{
    for (volatile long i = 0;; i++)
        ;
    return unused;
}

int start(int works)
{
    pthread_t thread;
    return pthread_create(&thread, 0, works ? work_for_ever : wait_for_ever, 0);
}
