/* plugin.cpp: clang's door to the pass; all that must be C++. */
#include <llvm/IR/Module.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Passes/PassPlugin.h>

#define SANCAI_CC_PLUGIN
#include "pass.h"

using namespace llvm;

namespace {
struct Early : PassInfoMixin<Early> {
    PreservedAnalyses run(Module &m, ModuleAnalysisManager &)
    {
        if (const char *wrong = pass_early(wrap(&m)))
            m.getContext().emitError(wrong);
        return PreservedAnalyses::none();
    }
    static bool isRequired() { return true; }
};

struct Late : PassInfoMixin<Late> {
    PreservedAnalyses run(Module &m, ModuleAnalysisManager &)
    {
        pass_late(wrap(&m));
        return PreservedAnalyses::none();
    }
    static bool isRequired() { return true; }
};

void hooks(PassBuilder &b)
{
    b.registerPipelineStartEPCallback(
        [](ModulePassManager &p, OptimizationLevel) { p.addPass(Early()); });
    b.registerOptimizerLastEPCallback(
        [](ModulePassManager &p, OptimizationLevel) { p.addPass(Late()); });
}
}

extern "C" __attribute__((visibility("default"))) PassPluginLibraryInfo
llvmGetPassPluginInfo()
{
    return {LLVM_PLUGIN_API_VERSION, "sancai", "1", hooks};
}
