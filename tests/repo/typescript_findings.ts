// Constructs of TypeScript that a rule forbids, each by the name of its ban.

import * as syntax from "typescript/unstable/ast";

type Node = syntax.Node;
const { SyntaxKind } = syntax;

/** Calls by the text of what is called. */
const CALLS: Readonly<Record<string, string>> = {
  require: "require(",
  "import.meta.require": "require(",
  "console.log": "console.log",
  "console.error": "console.error",
  "process.exit": "process.exit",
  "Bun.sleep": "sleep",
  "Bun.sleepSync": "sleep",
};

const KINDS: Readonly<Partial<Record<syntax.SyntaxKind, string>>> = {
  [SyntaxKind.AnyKeyword]: "any",
  [SyntaxKind.NonNullExpression]: "non-null !",
  [SyntaxKind.ExportAssignment]: "default export",
  [SyntaxKind.EnumDeclaration]: "enum",
  [SyntaxKind.ModuleDeclaration]: "namespace",
};

const BRANCHES = new Set<syntax.SyntaxKind>([
  SyntaxKind.IfStatement,
  SyntaxKind.SwitchStatement,
  SyntaxKind.ConditionalExpression,
]);

const BOARDS = new Set(["none", "microvm", "q35", "pc", "virt", "standard_vm"]);

/** The bans that the construct at `node` itself breaks. */
export function findingsAt(node: Node, tree: syntax.SourceFile): string[] {
  const found: string[] = [];
  const kind = KINDS[node.kind];
  if (kind !== undefined) found.push(kind);
  if (syntax.isStatement(node) && hasModifier(node, SyntaxKind.DefaultKeyword)) {
    found.push("default export");
  }
  if (syntax.isCallExpression(node)) {
    const call = CALLS[node.expression.getText(tree)];
    if (call !== undefined) found.push(call);
  }
  if (BRANCHES.has(node.kind) && isInTest(node, tree)) found.push("branch in a test");
  if (isHostGlobal(node)) found.push("the host");
  if (isBoardComparison(node, tree)) found.push("comparison with a board's name");
  return found;
}

export function isExported(statement: Node): boolean {
  return hasModifier(statement, SyntaxKind.ExportKeyword);
}

function hasModifier(node: Node, kind: syntax.SyntaxKind): boolean {
  const { modifiers } = node as { modifiers?: readonly Node[] };
  return modifiers?.some((modifier) => modifier.kind === kind) ?? false;
}

/** Whether a call of `test` is around the node. */
function isInTest(node: Node, tree: syntax.SourceFile): boolean {
  for (let at: Node | undefined = node.parent; at !== undefined; at = at.parent) {
    if (!syntax.isCallExpression(at)) continue;
    if (/^(test|it)\b/.test(at.expression.getText(tree))) return true;
  }
  return false;
}

/** `process.x` or `Bun.x`, but not `config.process`. */
function isHostGlobal(node: Node): boolean {
  if (!syntax.isIdentifier(node) || !["process", "Bun"].includes(node.text)) return false;
  const { parent } = node;
  return syntax.isPropertyAccessExpression(parent) && parent.expression === node;
}

function isBoardComparison(node: Node, tree: syntax.SourceFile): boolean {
  if (!syntax.isBinaryExpression(node)) return false;
  const { kind } = node.operatorToken;
  const isComparison =
    kind === SyntaxKind.EqualsEqualsEqualsToken || kind === SyntaxKind.ExclamationEqualsEqualsToken;
  const isBoard = syntax.isStringLiteral(node.right) && BOARDS.has(node.right.text);
  return isComparison && isBoard && /machine(\.type)?$/i.test(node.left.getText(tree));
}
