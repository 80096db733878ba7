/*
 * Cuts the power of a mounted ext4 or XFS file system: everything it has not written to its device
 * is gone. `powercut DIR` returns 0 when the file system is shut down. Needs root.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN, without flushing the journal first. */
#define SHUTDOWN _IOR('X', 125, uint32_t)
#define WITHOUT_LOG_FLUSH 2u

int main(int count, char **words) {
  uint32_t how = WITHOUT_LOG_FLUSH;
  int fd = count == 2 ? open(words[1], O_RDONLY | O_DIRECTORY) : -1;
  if (fd < 0 || ioctl(fd, SHUTDOWN, &how)) {
    perror("powercut");
    return 1;
  }
  return 0;
}
