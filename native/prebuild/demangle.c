/*
 * Replaces the demangler of the C++ library in a prebuilt addon. It formats the message of an
 * uncaught C++ exception, is of no use without debug symbols, and would double the size of the
 * addon.
 */
char *__cxa_demangle(const char *name, char *buffer, unsigned long *length, int *status) {
  (void)name;
  (void)buffer;
  (void)length;
  if (status) *status = -2; /* not a valid name: print it as it is */
  return 0;
}
