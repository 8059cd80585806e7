// How often memory was asked of the allocator since the process began, by this thread.
#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H
#include <stdint.h>
uint64_t callocations_count(void);
// Has the kernel end this process when the one that started it ends.
void callocations_end_with_parent(void);
#endif
