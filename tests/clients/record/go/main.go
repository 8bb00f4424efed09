// Client libraries for Go: every message that they send. `record LIBRARY URL`.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	mark "github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	markmcp "github.com/mark3labs/mcp-go/mcp"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What a server doesn't offer is sent all the same.
func tried(name string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "  %s: %.120s\n", name, err)
	}
}

func official(url string) {
	ctx := context.Background()
	client := mcp.NewClient(&mcp.Implementation{Name: "recorder", Version: "1.0.0"}, &mcp.ClientOptions{
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			return &mcp.CreateMessageResult{Role: "assistant", Model: "a-model", Content: &mcp.TextContent{Text: "Paris"}}, nil
		},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"name": "Ada", "age": 36}}, nil
		},
	})
	client.AddRoots(&mcp.Root{URI: "file:///srv/work", Name: "work"})
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: url}, nil)
	if err != nil {
		panic(err)
	}
	call := func(name string, params *mcp.CallToolParams) {
		_, err := session.CallTool(ctx, params)
		tried(name, err)
	}
	_, err = session.ListTools(ctx, nil)
	tried("tools/list", err)
	_, err = session.ListTools(ctx, &mcp.ListToolsParams{Cursor: "abc"})
	tried("tools/list", err)
	call("add", &mcp.CallToolParams{Name: "add", Arguments: map[string]any{"a": 1.5, "note": "Genève 🌧 <b>&"}})
	progress := &mcp.CallToolParams{Name: "work", Arguments: map[string]any{"steps": 2}}
	progress.SetProgressToken("p-1")
	call("work", progress)
	call("greet", &mcp.CallToolParams{Name: "greet", Arguments: map[string]any{"city": "Zürich"}})
	call("think", &mcp.CallToolParams{Name: "think"})
	call("look", &mcp.CallToolParams{Name: "look"})
	_, err = session.ListPrompts(ctx, nil)
	tried("prompts/list", err)
	_, err = session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "review", Arguments: map[string]string{"code": "x"}})
	tried("prompts/get", err)
	_, err = session.ListResources(ctx, nil)
	tried("resources/list", err)
	_, err = session.ListResourceTemplates(ctx, nil)
	tried("templates", err)
	_, err = session.ReadResource(ctx, &mcp.ReadResourceParams{URI: "docs://guide"})
	tried("resources/read", err)
	_, err = session.Complete(ctx, &mcp.CompleteParams{
		Ref:      &mcp.CompleteReference{Type: "ref/prompt", Name: "review"},
		Argument: mcp.CompleteParamsArgument{Name: "language", Value: "p"},
	})
	tried("complete", err)
	tried("ping", session.Ping(ctx, nil))
	tried("subscribe", session.Subscribe(ctx, &mcp.SubscribeParams{URI: "docs://guide"}))
	tried("unsubscribe", session.Unsubscribe(ctx, &mcp.UnsubscribeParams{URI: "docs://guide"}))
	tried("logging", session.SetLoggingLevel(ctx, &mcp.SetLoggingLevelParams{Level: "debug"}))
	tried("progress", session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: "t", Progress: 0.5, Total: 1}))
	client.AddRoots(&mcp.Root{URI: "file:///srv/more"})
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	_, err = session.CallTool(short, &mcp.CallToolParams{Name: "work", Arguments: map[string]any{"steps": 100}})
	cancel()
	tried("cancelled", err)
	time.Sleep(200 * time.Millisecond)
	tried("close", session.Close())
}

func mark3labs(url string) {
	ctx := context.Background()
	client, err := mark.NewStreamableHttpClient(url, transport.WithContinuousListening())
	if err != nil {
		panic(err)
	}
	tried("start", client.Start(ctx))
	hello := markmcp.InitializeRequest{}
	hello.Params.ProtocolVersion = markmcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = markmcp.Implementation{Name: "recorder", Version: "1.0.0"}
	_, err = client.Initialize(ctx, hello)
	tried("initialize", err)
	tried("ping", client.Ping(ctx))
	_, err = client.ListTools(ctx, markmcp.ListToolsRequest{})
	tried("tools/list", err)
	call := markmcp.CallToolRequest{}
	call.Params.Name = "add"
	call.Params.Arguments = map[string]any{"a": 1, "b": 2.5}
	_, err = client.CallTool(ctx, call)
	tried("add", err)
	_, err = client.ListResources(ctx, markmcp.ListResourcesRequest{})
	tried("resources/list", err)
	_, err = client.ListResourceTemplates(ctx, markmcp.ListResourceTemplatesRequest{})
	tried("templates", err)
	read := markmcp.ReadResourceRequest{}
	read.Params.URI = "docs://guide"
	_, err = client.ReadResource(ctx, read)
	tried("resources/read", err)
	_, err = client.ListPrompts(ctx, markmcp.ListPromptsRequest{})
	tried("prompts/list", err)
	prompt := markmcp.GetPromptRequest{}
	prompt.Params.Name = "review"
	prompt.Params.Arguments = map[string]string{"code": "x"}
	_, err = client.GetPrompt(ctx, prompt)
	tried("prompts/get", err)
	time.Sleep(200 * time.Millisecond)
	tried("close", client.Close())
}

func main() {
	libraries := map[string]func(string){"official": official, "mark3labs": mark3labs}
	libraries[os.Args[1]](os.Args[2])
}
