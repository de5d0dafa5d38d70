/*
 * Takes the place of the C++ library's own function in a prebuilt addon. It turns symbols into names for the message of an
 * uncaught C++ exception, which is of no use without debug symbols, and would be more than half of the addon.
 */
char *__cxa_demangle(const char *name, char *buffer, unsigned long *length, int *status) {
  (void)name;
  (void)buffer;
  (void)length;
  if (status) *status = -2; /* not a valid name: print it as it is */
  return 0;
}
