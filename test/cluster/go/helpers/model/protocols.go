package main

import (
	"encoding/json"
	"io"
	"net/http"
)

const bodyBytesMax = 64 << 20

// predict answers {"instances": [...]} with {"predictions": [...]}, a number for each instance.
func (m *model) predict(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Instances []any `json:"instances"`
	}
	if !read(w, r, &body) {
		return
	}
	if body.Instances == nil {
		refuse(w, http.StatusBadRequest, "instances must be a list")
		return
	}
	if !m.run(w, r, len(body.Instances)) {
		return
	}
	predictions := make([]float64, len(body.Instances))
	for i, instance := range body.Instances {
		predictions[i] = score(instance)
	}
	answer(w, http.StatusOK, map[string]any{"predictions": predictions})
}

type tensor struct {
	Name     string `json:"name"`
	Shape    []int  `json:"shape"`
	Datatype string `json:"datatype"`
	Data     []any  `json:"data"`
}

// infer answers with one output, "score": a number for each row of the first input (rows of all inputs are added up).
func (m *model) infer(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ID     string   `json:"id"`
		Inputs []tensor `json:"inputs"`
	}
	if !read(w, r, &body) {
		return
	}
	if len(body.Inputs) == 0 || len(body.Inputs[0].Shape) == 0 {
		refuse(w, http.StatusBadRequest, "inputs must hold a tensor with a shape")
		return
	}
	rows := body.Inputs[0].Shape[0]
	scores := make([]float64, max(rows, 0))
	for _, input := range body.Inputs {
		if len(input.Shape) == 0 || input.Shape[0] != rows || rows <= 0 || len(input.Data)%rows != 0 {
			refuse(w, http.StatusBadRequest, "every input has the same number of rows, and data for each")
			return
		}
		width := len(input.Data) / rows
		for i, element := range input.Data {
			scores[i/width] += score(element)
		}
	}
	if !m.run(w, r, rows) {
		return
	}
	reply := map[string]any{
		"model_name":    r.PathValue("name"),
		"model_version": m.version,
		"outputs":       []any{map[string]any{"name": "score", "shape": []int{rows}, "datatype": "FP64", "data": scores}},
	}
	if body.ID != "" {
		reply["id"] = body.ID
	}
	answer(w, http.StatusOK, reply)
}

func (m *model) describe(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"name": r.PathValue("name"), "versions": []string{m.version}, "platform": "paceline_test",
		"inputs":  []any{map[string]any{"name": "input", "datatype": "FP64", "shape": []int{-1, -1}}},
		"outputs": []any{map[string]any{"name": "score", "datatype": "FP64", "shape": []int{-1}}},
	})
}

// score is what the model computes: the sum of the numbers in a value and of the lengths of its texts, at any depth.
func score(value any) float64 {
	switch v := value.(type) {
	case float64:
		return v
	case string:
		return float64(len(v))
	case []any:
		total := 0.0
		for _, element := range v {
			total += score(element)
		}
		return total
	case map[string]any:
		total := 0.0
		for _, element := range v {
			total += score(element)
		}
		return total
	default:
		return 0
	}
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	bytes, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytesMax))
	if err != nil {
		refuse(w, http.StatusBadRequest, "the body could not be read: "+err.Error())
		return false
	}
	if err := json.Unmarshal(bytes, into); err != nil {
		refuse(w, http.StatusBadRequest, "the body is not what the protocol asks for: "+err.Error())
		return false
	}
	return true
}
