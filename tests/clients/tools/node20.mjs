// The conformance suite imports `globSync` for a command that nobody runs here; Node has it from 22 on.
export async function resolve(specifier, context, next) {
  if (specifier === 'fs' && context.parentURL?.includes('/conformance/dist/')) {
    const module = "export * from 'node:fs'; export { default } from 'node:fs'; export const globSync = undefined;";
    return { url: `data:text/javascript,${encodeURIComponent(module)}`, shortCircuit: true };
  }
  return next(specifier, context);
}
