/* pass.h: what plugin and driver know of the pass. */
#ifndef SANCAI_CC_PASS_H
#define SANCAI_CC_PASS_H

/* The driver tells the pass what is wanted in this environment variable:
 * words with commas between them, see pass.c. */
#define PASS_OPTIONS "SANCAI_CC_OPTIONS"
/* Sections of an object: its first code (embed.c), and the words of clang that
 * say how to compile it, each with a newline.  The latter come from this
 * variable. */
#define PASS_CODE "sancai.code"
#define PASS_FLAGS "sancai.flags"
#define PASS_FLAGS_OF "SANCAI_CC_FLAGS"
/* The plugin's file beside the command, or in lib/sancai. */
#define PASS_PLUGIN "sancai-cc.so"

#ifdef SANCAI_CC_PLUGIN
#include <llvm-c/Types.h>
#ifdef __cplusplus
extern "C"
#endif
/* Before the first optimisation.  NULL, or what is wrong, a line each. */
const char *pass_early(LLVMModuleRef);
#ifdef __cplusplus
extern "C"
#endif
/* After the last. */
void pass_late(LLVMModuleRef);
#endif

#endif
